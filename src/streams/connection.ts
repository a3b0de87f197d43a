/** The connection of a stream, taken from the HTTP server. */
import type { ServerResponse } from 'node:http'
import { HandleConnection } from './handle-connection.ts'
import { SocketConnection } from './socket-connection.ts'

export interface Connection {
  /** Told once, in a later turn of the event loop, that the connection is closed, whoever closed it. */
  owner: { connectionClosed(): void } | undefined
  /** Bytes that the network has not taken. */
  readonly unsent: number
  /** Nothing can be written any more: it is closed, or about to end. */
  readonly isOver: boolean
  /** The owner has been told. */
  readonly isClosed: boolean
  write(bytes: Buffer): void
  /** Resolves when nothing is unsent, or the connection is closed. One at a time may wait. */
  drained(): Promise<void>
  /** Ends after what was written; it is closed once the client has closed its side too. */
  end(): void
  /** Drops the connection with what is unsent. */
  destroy(): void
}

/**
 * The HTTP server sees its socket close and lets go of parser, request and response, which is most of what a stream would
 * cost; it no longer knows of the connection. What the client sends from here on is no part of the protocol, and its end
 * closes the connection.
 */
export function takeConnection(response: ServerResponse): Connection {
  const handle = takeHandle(response)
  return HandleConnection.fits(handle) ? new HandleConnection(handle) : new SocketConnection(handle)
}

/** What node:net has of the operating system's socket. */
export function takeHandle({ socket }: ServerResponse): object {
  const served = socket as (typeof socket & { _handle: object | null }) | null
  if (!served?._handle) throw new Error('the connection is gone')
  // With a listener of its own for data, the socket is no longer read by the parser.
  served.on('data', ignore)
  const handle = served._handle
  served._handle = null
  served.destroy()
  return handle
}

function ignore(): void {}
