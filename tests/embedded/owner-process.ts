/** A process of its own that starts embedded mode or a cluster, says how, and waits to be killed. */

import { type ClusterOptions, startCluster } from '../../src/embedded/postgres/cluster.ts'
import { startEmbedded } from '../../src/embedded/start.ts'

export type OwnerRequest =
  | { kind: 'cluster'; options: Omit<ClusterOptions, 'progress'> }
  | { kind: 'embedded'; dataDirectory: string }

export type OwnerReport = { port: number; password: string } | { error: string }

const say = (report: OwnerReport) => process.stdout.write(`${JSON.stringify(report)}\n`)
const progress = (line: string) => process.stderr.write(`${line}\n`)

async function start(request: OwnerRequest): Promise<() => Promise<void>> {
  if (request.kind === 'cluster') {
    const cluster = await startCluster({ ...request.options, progress })
    say(cluster.connection)
    return () => cluster.stop()
  }
  const embedded = await startEmbedded({ dataDirectory: request.dataDirectory, env: {}, port: 0, progress })
  say(embedded.config.postgres)
  return () => embedded.stop()
}

try {
  const stop = await start(JSON.parse(process.argv[2] ?? '') as OwnerRequest)
  const waiting = setInterval(() => undefined, 60_000)
  process.once('SIGTERM', () => void stop().then(() => clearInterval(waiting)))
} catch (error) {
  say({ error: (error as Error).message })
}
