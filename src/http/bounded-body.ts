/** Reads a request's body into memory up to a limit, without harm to the next request on the same connection. */

import type { IncomingMessage } from 'node:http'
import { AppError, invalid } from '../shared/app-error.ts'

/** Whether the request announces a body at all (RFC 9112, section 6.3). */
export function announcesBody(req: IncomingMessage): boolean {
  if (req.headers['transfer-encoding'] !== undefined) return true
  const length = req.headers['content-length']
  return length !== undefined && Number(length) !== 0
}

/**
 * The whole body. A Content-Length over `maxBytes` is refused before anything is read; a chunked body as soon as it
 * passes the limit. What is refused is still drained, so that the connection stays usable.
 *
 * @throws AppError PAYLOAD_TOO_LARGE; VALIDATION_ERROR where the sender breaks off
 */
export function readBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) {
    req.resume()
    return Promise.reject(tooLarge(maxBytes))
  }
  return req.complete ? readReceived(req, maxBytes) : readAsItComes(req, maxBytes)
}

/** A short body comes with its head: it is here when whoever sent it is known, and needs no listeners. */
async function readReceived(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const body: Buffer = req.read() ?? Buffer.alloc(0)
  if (body.length > maxBytes) throw tooLarge(maxBytes)
  return body
}

function readAsItComes(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (error: AppError | undefined) => {
      req.off('data', onData).off('end', onEnd).off('close', onClose)
      if (error === undefined) return resolve(joined(chunks))
      req.resume()
      reject(error)
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) return settle(tooLarge(maxBytes))
      chunks.push(chunk)
    }
    const onEnd = () => settle(undefined)
    const onClose = () => settle(invalid('The request body was cut off.'))
    // No listener for 'error': IncomingMessage then reports a broken connection by 'close' alone.
    req.on('data', onData).on('end', onEnd).on('close', onClose)
    if (req.destroyed) onClose()
  })
}

const joined = (chunks: Buffer[]) => (chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))

export function tooLarge(maxBytes: number): AppError {
  return new AppError('PAYLOAD_TOO_LARGE', `The request body may have at most ${maxBytes} bytes.`)
}
