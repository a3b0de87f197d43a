/** A way to an S3 server on which a test stops one kind of request, or an answer half-way. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `hold` keeps a request from the server, `mute` its answer from the client, `break` ends the connection in its place. */
export type Treatment = 'pass' | 'hold' | 'mute' | 'break' | { cutAfterBytes: number }

export type S3Gateway = {
  url: string
  /** All passes until a test says otherwise. */
  treat: (method: string, path: string) => Treatment
  /** `PUT /bucket/key` and so on, in order of arrival. */
  requests: string[]
  /** Connections that clients have open. */
  connections(): Promise<number>
  close(): void
}

export async function startS3Gateway(target: string): Promise<S3Gateway> {
  const gateway: S3Gateway = { url: '', treat: () => 'pass', requests: [], connections, close }
  const server = createServer((req, res) => {
    const { method = '', url = '' } = req
    const path = url.replace(/\?.*/, '')
    gateway.requests.push(`${method} ${path}`)
    const treatment = gateway.treat(method, path)
    if (treatment !== 'hold') forward(target, req, res, treatment)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  gateway.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return gateway

  function connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
    })
  }
  function close(): void {
    server.close()
    server.closeAllConnections()
  }
}

/** With the client's own headers, Host too: it is part of what is signed. */
function forward(target: string, req: IncomingMessage, res: ServerResponse, treatment: Treatment): void {
  const { method, headers } = req
  const upstream = request(new URL(req.url ?? '', target), { method, headers, agent: false }, (answer) => {
    if (treatment === 'mute') return void answer.resume()
    if (treatment === 'break') return void res.destroy()
    res.writeHead(answer.statusCode ?? 502, answer.headers)
    if (typeof treatment === 'string') return void answer.pipe(res)
    let left = treatment.cutAfterBytes
    answer.on('data', (chunk: Buffer) => {
      res.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left > 0) return
      answer.destroy()
      res.write('', () => res.destroy())
    })
  })
  upstream.on('error', () => res.destroy())
  res.on('close', () => upstream.destroy())
  req.pipe(upstream)
}
