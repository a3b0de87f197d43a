/** A notification of the backend's own: whom it is for, what it says, and its identity. */
import { createHash } from 'node:crypto'
import { v5 } from 'uuid'

export type Notification = {
  /** The same id again is the same notification. */
  id: string
  /** Lower case, each once. */
  toUsers: string[]
  /** JSON. */
  message: string
  /** When the backend says that it came about. */
  sentAt: Date | undefined
}

/** One that may leave it to the way in to give it an id. */
export type NewNotification = Omit<Notification, 'id'> & { id: string | undefined }

export const MAX_USERS = 10_000
/** Of `message`, as JSON without blanks, in UTF-8. */
export const MAX_MESSAGE_BYTES = 64 * 1024
/** Of the whole: room for 10,000 ids beside the message. */
export const MAX_NOTIFICATION_BYTES = 1024 * 1024

/** Of the ids made from what a way in knows. Never to be changed: what comes again would be another notification. */
const ID_NAMESPACE = '3f9a1c0e-5b7d-4e86-8c42-d1f06a7b92e5'

/** The same for the same words: `way` keeps those of different ways in apart. */
export function derivedId(way: 'kafka' | 'part' | 'webhook', words: string): string {
  return v5(`${way}\n${words}`, ID_NAMESPACE)
}

/** Equal for the same people and the same message, whatever the order of either's parts. */
export function contentHash({ toUsers, message }: Notification): Buffer {
  const content = [[...toUsers].sort(), inOrder(JSON.parse(message))]
  return createHash('sha256').update(JSON.stringify(content)).digest()
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  const names = Object.keys(value).sort()
  // Pairs, since an object would put names that are numbers first.
  return { pairs: names.map((name) => [name, inOrder((value as Record<string, unknown>)[name])]) }
}

/** The fields of the SystemMessage event that people get. */
export function eventBody({ id, message, sentAt }: Notification): string {
  return `{"message":${message},"notificationId":"${id}","sentAt":${sentAt ? `"${sentAt.toISOString()}"` : 'null'}}`
}

/** As many notifications as it takes, each with an id of its own; the same list has the same parts, and so the same ids. */
export function partsOf(notification: Notification): Notification[] {
  const { id, toUsers } = notification
  const parts: Notification[] = []
  for (let from = 0; from < toUsers.length; from += MAX_USERS) {
    const partId = from === 0 ? id : derivedId('part', `${id}\n${from}`)
    parts.push({ ...notification, id: partId, toUsers: toUsers.slice(from, from + MAX_USERS) })
  }
  return parts
}
