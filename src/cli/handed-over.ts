/** Connections on their way from the primary process to a worker: where it dies before it took them, they are closed. */
import type { Worker } from 'node:cluster'

type Handle = { close(): void }

/** What node:cluster says of a connection that it hands over, and the worker's answer; the names are Node's own. */
type ClusterMessage = { cmd?: unknown; act?: unknown; seq?: number; ack?: number } | undefined

/**
 * Node itself leaves such a connection open for as long as the primary process lives, and the client waits for an answer
 * that nobody will give. One at most for each worker, since the next is handed over when the last was taken.
 */
export function closeWhatIsNotTaken(worker: Worker): void {
  const handedOver = new Map<number, Handle>()
  const child = worker.process
  const send = child.send.bind(child) as (...given: unknown[]) => boolean
  child.send = ((...given: unknown[]) => {
    const [message, handle] = given as [ClusterMessage, Handle | undefined]
    if (message?.cmd === 'NODE_CLUSTER' && message.act === 'newconn' && message.seq !== undefined && handle)
      handedOver.set(message.seq, handle)
    return send(...given)
  }) as typeof child.send
  child.on('internalMessage' as 'message', (message: ClusterMessage) => {
    if (message?.ack !== undefined) handedOver.delete(message.ack)
  })
  worker.once('exit', () => {
    for (const handle of handedOver.values()) handle.close()
  })
}
