/** The image's health check: asks the address that the configuration names, whichever layer names it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../bin/build.js'
import { directoryWith } from '../support/command-line.ts'

const SCRIPT = fileURLToPath(new URL('../../bin/healthcheck.js', import.meta.url))
const REST = `
[user_db_config]
db_host = "localhost"
db_user = "ism"
db_password = ""
db_name = "ism"
[token_issuer]
issuer = "https://idp.example"
`

beforeAll(() => ensureBuilt())

test('is healthy where ISM answers, at the port of the file or of the environment', async () => {
  const port = await startServer((req, res) => res.writeHead(req.url === '/health' ? 200 : 404).end())
  const inFile = await directoryWith({ 'production.config.toml': `ism_url = "0.0.0.0"\nism_port = ${port}\n${REST}` })
  expect(await check(inFile)).toEqual({ code: 0, output: `0.0.0.0:${port} answers 200\n` })
  const elsewhere = await directoryWith({ 'staging.config.toml': `ism_port = 1\n${REST}` })
  const env = { ISM_MODE: 'staging', ISM_PORT: String(port) }
  expect(await check(elsewhere, env)).toEqual({ code: 0, output: `127.0.0.1:${port} answers 200\n` })
})

test('is unhealthy where nobody listens, another status is answered, or the configuration is not in order', async () => {
  const cwd = await directoryWith({ 'production.config.toml': REST })
  const nobody = await check(cwd, { ISM_PORT: '1' })
  expect(nobody).toEqual({ code: 1, output: expect.stringContaining('ECONNREFUSED') })
  const port = await startServer((_, res) => res.writeHead(500).end())
  expect(await check(cwd, { ISM_PORT: String(port) })).toEqual({ code: 1, output: `127.0.0.1:${port} answers 500\n` })
  expect(await check(cwd, { ISM_PORT: 'x' })).toMatchObject({ code: 1 })
})

async function check(cwd: string, env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [SCRIPT], { cwd, env: { PATH: process.env['PATH'], ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const [code] = await once(child, 'close')
  return { code, output }
}

async function startServer(answer: RequestListener): Promise<number> {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
