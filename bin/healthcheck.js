/** The image's HEALTHCHECK: whether the ISM that runs on this configuration answers. Exit code 0 or 1. */
import { get } from 'node:http'
import { readConfiguration } from '../dist/config/read.js'

const TIMEOUT_MS = 4_000
const LOOPBACK = { '0.0.0.0': '127.0.0.1', '::': '::1' }

const { config } = readConfiguration({ env: process.env, cwd: process.cwd() })
if (config === undefined) end(1, 'the configuration is not in order: see ism check-config')
const { host, port } = config.server
const request = get({ host: LOOPBACK[host] ?? host, port, path: '/health', timeout: TIMEOUT_MS }, ({ statusCode }) =>
  end(statusCode === 200 ? 0 : 1, `${host}:${port} answers ${statusCode}`),
)
request.on('timeout', () => end(1, `${host}:${port} does not answer within ${TIMEOUT_MS} ms`))
request.on('error', ({ message }) => end(1, message))

function end(code, line) {
  process.stdout.write(`${line}\n`)
  process.exit(code)
}
