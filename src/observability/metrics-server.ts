/** A listener of its own for /metrics, where operators keep it apart from the public port. */
import { createServer } from 'node:http'
import type { Registry } from 'prom-client'
import type { MetricsConfig } from '../config/config.ts'

/** @param refresh brings what is read on demand up to date. @returns `undefined` where no port is configured */
export async function serveMetrics(
  config: MetricsConfig,
  registry: Registry,
  refresh: () => Promise<void>,
): Promise<{ close(): Promise<void> } | undefined> {
  if (config.port === undefined) return undefined
  const server = createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    await refresh().catch(() => {}) // The other metrics matter most when the database is down.
    response.writeHead(200, { 'Content-Type': registry.contentType }).end(await registry.metrics())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.port, config.host, resolve)
  })
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
