/** The template for nginx, run: what it writes down of streams whose URLs have tickets. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { reservedPort } from '../support/node.ts'

const TICKET = 'ToxK7KnDfRBVIn3R4yZqzyKDP4e3iqoaT7lWNwmXs0k'
const hasNginx = spawnSync('nginx', ['-v']).status === 0

let directory: string
let nginx: ChildProcess
let node: Server
let url: string
let plainUrl: string
let heard = ''

/** A node that begins a stream, as far as it has been told to, and dies. */
const dyingNode = () =>
  createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      heard += chunk
      if (heard.includes('answer=head')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n: keep-alive\n\n')
      else socket.destroy()
    })
  })

/** Without TLS, on these ports, in front of that node, with its logs in the test's directory. */
async function configuration(port: number, plainPort: number, nodePort: number): Promise<string> {
  const template = await readFile(new URL('../../templates/nginx.conf', import.meta.url), 'utf8')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  )
  const server = template
    .replace(/listen \[::\].*;/g, '')
    .replace(/listen 443 .*;/, `listen 127.0.0.1:${port};`)
    .replace('listen 80;', `listen 127.0.0.1:${plainPort};`)
    .replace(/ssl_certificate.*;/g, '')
    .replace('127.0.0.1:5403', `127.0.0.1:${nodePort}`)
    .replaceAll('/var/log/nginx', directory)
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
events {}
http {
${temporary.join('\n')}
access_log ${directory}/access.log;
${server}
}`
}

beforeAll(async () => {
  if (!hasNginx) return
  directory = await mkdtemp(join(tmpdir(), 'ism-nginx-'))
  node = dyingNode()
  const [port, plainPort, nodePort] = await Promise.all([reservedPort(), reservedPort(), reservedPort()])
  await new Promise<void>((resolve) => node.listen(nodePort, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${port}`
  plainUrl = `http://127.0.0.1:${plainPort}`
  const file = join(directory, 'nginx.conf')
  await writeFile(file, await configuration(port, plainPort, nodePort))
  const judged = spawnSync('nginx', ['-t', '-c', file, '-e', join(directory, 'error.log')], { encoding: 'utf8' })
  expect(judged.stderr).toContain('test is successful')
  nginx = spawn('nginx', ['-c', file, '-e', join(directory, 'error.log')], { stdio: 'ignore' })
  await eventually('it listens', () =>
    fetch(`${url}/metrics`).then(
      () => true,
      () => false,
    ),
  )
})
afterAll(async () => {
  if (!hasNginx) return
  nginx.kill('SIGTERM')
  node.close()
  await rm(directory, { recursive: true, force: true })
})

test.skipIf(!hasNginx)('no ticket is in its logs, whatever becomes of the stream', async () => {
  const opening = (query = '') => fetch(`${url}/api/sse?ticket=${TICKET}${query}`)
  // The node dies before it answers, amid its answer, and takes no connections any more.
  expect((await opening()).status).toBe(502)
  const broken = await opening('&answer=head')
  expect(broken.status).toBe(200)
  await expect(broken.text()).rejects.toThrow()
  await new Promise((resolve) => node.close(resolve))
  expect((await opening()).status).toBe(502)
  const redirect = await fetch(`${plainUrl}/api/sse?ticket=${TICKET}`, { redirect: 'manual' })
  expect(redirect.status).toBe(308)
  expect((await fetch(`${url}/api/rooms`)).status).toBe(502)
  expect(heard).toContain(TICKET)

  const read = (name: string) => readFile(join(directory, name), 'utf8')
  await eventually('all is written', async () => (await read('access.log')).includes('/api/rooms'))
  const access = await read('access.log')
  expect(access.match(/"GET \/api\/sse HTTP\/1\.1" (502|200|308) /g)).toHaveLength(4)
  const errors = await read('error.log')
  // What is no stream is told of as ever.
  expect(errors).toContain('/api/rooms')
  for (const text of [access, errors]) expect(text).not.toContain(TICKET)
})
