/** Ports of the loopback interface, unless another is named: free until somebody else takes them, so that whoever listens tries again. */

import { createServer } from 'node:net'

export const LOOPBACK = '127.0.0.1'

export function freePort(host = LOOPBACK): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(true))
    server.listen(port, LOOPBACK, () => server.close(() => resolve(false)))
  })
}
