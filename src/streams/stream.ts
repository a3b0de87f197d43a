/** One open connection of one person, as the hub sees it. */

export interface Stream {
  readonly userId: string
  /** Bytes accepted by `write` that have not left the process. */
  readonly buffered: number
  readonly closed: boolean
  /** Frames written in one turn of the event loop leave in one write, or in few large ones. */
  write(frame: Buffer): void
  /** Resolves when nothing is buffered, or the connection is closed. */
  drained(): Promise<void>
  /** Ends the response after what is buffered: the client reconnects and resumes. */
  end(): void
  /** Drops the connection with what is buffered: for a reader that does not read. */
  destroy(): void
  onClose(listener: () => void): void
}
