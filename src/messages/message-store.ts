/** The port behind which the archiver keeps messages, and from which timelines read what the log need not hold. */
import type { MessageRow } from '../log/event-json.ts'
import type { Settling } from '../log/projector.ts'

/** A page of a timeline asks for this place; messages at the same time in old data stand in one place. */
export type PageRequest = { roomId: string; before: Date; limit: number }

export interface MessageStore {
  /** Where the store may lose what it has just acknowledged. */
  readonly settling?: Settling
  /**
   * Keeps the messages; durable once it resolves, or where `settling` is over. The same message again changes nothing, and one of a room that was
   * deleted stays away, however late this call arrives.
   */
  append(messages: MessageRow[]): Promise<void>
  /**
   * The newest messages created before `before`, newest first: `limit`, or more where the last ones share their time,
   * or fewer only where the room begins.
   */
  page(request: PageRequest): Promise<MessageRow[]>
  find(roomId: string, createdAt: Date, messageId: string): Promise<MessageRow | undefined>
  /** Erases the messages of a room that was deleted at `endedAt`, by the log's clock. Doing it again is no error. */
  deleteRoom(roomId: string, endedAt: Date): Promise<void>
  /** Rejects where the store cannot be reached. */
  check(): Promise<void>
}
