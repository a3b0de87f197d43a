/** A listener of its own for /metrics, where operators keep it apart from the public port. */
import { createServer } from 'node:http'
import type { MetricsConfig } from '../config/config.ts'
import { METRICS_TYPE, type Scrape } from './scrape.ts'

/** @returns `undefined` where no port is configured */
export async function serveMetrics(
  config: MetricsConfig,
  scrape: Scrape,
): Promise<{ close(): Promise<void> } | undefined> {
  if (config.port === undefined) return undefined
  const server = createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    await scrape().then(
      (text) => response.writeHead(200, { 'Content-Type': METRICS_TYPE }).end(text),
      () => response.writeHead(500).end(),
    )
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
