/** One open connection of one person, as the hub sees it. */

export interface Stream {
  readonly userId: string
  /** Bytes accepted by `write` whose turn has not come. */
  readonly waiting: number
  /** Bytes that were offered to the network, which did not take them yet: the reader does not read. */
  readonly unread: number
  readonly closed: boolean
  /**
   * The frame leaves in a later turn of the event loop, together with what else the stream has by then, in order.
   * @param isBulk one of very many at once: streams with less company go first
   */
  write(frame: Buffer, isBulk?: boolean): void
  /** Resolves when nothing is buffered, or the connection is closed, as it is when the reader takes nothing for long. */
  drained(): Promise<void>
  /** Ends the response after what is buffered: the client reconnects and resumes. */
  end(): void
  /** Drops the connection with what is buffered: for a reader that does not read. */
  destroy(): void
  /** The listener is kept for as long as the stream lives: one that all streams share costs each the least. */
  onClose(listener: (stream: Stream) => void): void
}
