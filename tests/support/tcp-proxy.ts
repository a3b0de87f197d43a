/** A way to a server that a test can cut or block, while others go on using the server. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type TcpProxy = {
  port: number
  /** All that clients have sent so far. */
  sent(): string
  /** Everything passes, as at first. */
  pass(): Promise<void>
  /** Connections are taken and then nothing happens. */
  hang(): Promise<void>
  /**
   * The connections that are open stay so, and nothing passes on them.
   * @param having only on those over which this was sent; others pass, new ones too
   */
  stall(having?: string): void
  /** What was stalled passes again, with what gathered. */
  flow(): void
  /** From now on connections are cut as soon as this is sent over them, those over which it was sent too. */
  ban(text: string): void
  /** Nothing is banned any more. */
  allow(): void
  /** How many connections are open. */
  open(): number
  /** Nothing listens. */
  refuse(): Promise<void>
  close(): Promise<void>
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const chunks: string[] = []
  const clients = new Set<Socket>()
  const upstreams = new Map<Socket, Socket>()
  const sentBy = new Map<Socket, string>()
  const stalled = new Map<Socket, Socket>()
  let isPassing = true
  let banned: string | undefined
  const isBanned = (client: Socket) => banned !== undefined && sentBy.get(client)?.includes(banned) === true
  const server = createServer((client) => {
    clients.add(client)
    client.on('error', () => {})
    client.on('close', () => clients.delete(client))
    if (!isPassing) return
    const upstream = connect(target)
    upstream.on('error', () => {})
    client.on('data', (chunk) => {
      chunks.push(chunk.toString('latin1'))
      sentBy.set(client, (sentBy.get(client) ?? '') + chunk.toString('latin1'))
      if (isBanned(client)) client.destroy()
    })
    client.pipe(upstream).pipe(client)
    client.on('close', () => {
      for (const all of [upstreams, sentBy, stalled]) all.delete(client)
      upstream.destroy()
    })
    upstreams.set(client, upstream)
    upstream.on('close', () => client.destroy())
  })
  const listen = async (port: number) => {
    if (!server.listening) await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  }
  const cut = () => {
    for (const client of clients) client.destroy()
  }
  const refuse = async () => {
    cut()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }

  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    port,
    sent: () => chunks.join(''),
    open: () => clients.size,
    async pass() {
      isPassing = true
      cut()
      await listen(port)
    },
    stall(having) {
      if (having === undefined) isPassing = false
      for (const [client, upstream] of upstreams) {
        if (having !== undefined && !sentBy.get(client)?.includes(having)) continue
        client.unpipe(upstream)
        upstream.unpipe(client)
        stalled.set(client, upstream)
      }
    },
    ban(text) {
      banned = text
      for (const client of clients) if (isBanned(client)) client.destroy()
    },
    allow() {
      banned = undefined
    },
    flow() {
      isPassing = true
      for (const [client, upstream] of stalled) client.pipe(upstream).pipe(client)
      stalled.clear()
    },
    async hang() {
      isPassing = false
      cut()
      await listen(port)
    },
    refuse,
    close: refuse,
  }
}
