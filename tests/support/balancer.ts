/** A load balancer of TCP connections, as stands before several nodes: in turn, and to the next where one refuses. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Balancer = {
  url: string
  close(): Promise<void>
}

export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const clients = new Set<Socket>()
  let turn = 0
  const server = createServer((client) => {
    clients.add(client)
    client.on('error', () => {})
    client.on('close', () => clients.delete(client))
    const first = turn++
    passTo(client, [...ports.slice(first % ports.length), ...ports.slice(0, first % ports.length)])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function passTo(client: Socket, [port, ...others]: readonly number[]): void {
  if (port === undefined) {
    client.destroy()
    return
  }
  const upstream = connect({ port, host: '127.0.0.1' })
  let connected = false
  upstream.once('connect', () => {
    connected = true
    client.pipe(upstream).pipe(client)
  })
  upstream.on('error', () => {})
  upstream.on('close', () => {
    if (connected) client.destroy()
    else passTo(client, others)
  })
  client.on('close', () => upstream.destroy())
}
