/** Sockets of node:net in a process of their own: what is left of the time of a delivery is Node's and the kernel's. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { endProcess, startProcess } from '../support/child-process.ts'
import { now } from '../support/clock.ts'
import { HttpConnection } from '../support/http-client.ts'
import type { Target } from './target.ts'

const PROCESS = fileURLToPath(new URL('./floor-process.ts', import.meta.url))
/** For what it opens beside the streams. */
const SPARE_FILES = 200

/**
 * @param payload what each event carries
 * @param connections as many streams as it is to hold
 */
export async function startFloor(payload: string, connections: number): Promise<Target> {
  const child = startProcess(process.execPath, [...process.execArgv, PROCESS, `id: 1\ndata: ${payload}\n\n`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    openFiles: connections + SPARE_FILES,
  })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const publisher = await HttpConnection.open(port)
  return {
    name: 'node:net alone',
    port,
    pid: child.pid ?? 0,
    storePid: undefined,
    isFloor: true,
    listen: () => 'GET /listen HTTP/1.1\r\nHost: bench\r\n\r\n',
    async publish() {
      const sent = now()
      await publisher.request('POST', '/publish', '')
      return { sent, acknowledged: now() }
    },
    unrelated: (client) => client.request('GET', '/unrelated', ''),
    async stop() {
      publisher.close()
      await endProcess(child)
    },
  }
}
