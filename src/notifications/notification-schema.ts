/** What a notification looks like on every way in; docs/schemas/notification.json is generated from it. */
import { parseJson } from '../http/json-body.ts'
import { exactValidator } from '../http/validate.ts'
import { AppError, invalid } from '../shared/app-error.ts'
import { parseTimestamp } from '../shared/timestamp.ts'
import { MAX_MESSAGE_BYTES, MAX_NOTIFICATION_BYTES, MAX_USERS, type NewNotification } from './notification.ts'

const UUID = { type: 'string', format: 'uuid' } as const

export const NOTIFICATION_SCHEMA = {
  type: 'object',
  required: ['toUsers', 'message'],
  properties: {
    id: {
      anyOf: [UUID, { type: 'null' }],
      description: 'The same id again is the same notification, once, for as long as the log keeps it.',
    },
    toUsers: {
      type: 'array',
      items: UUID,
      minItems: 1,
      maxItems: MAX_USERS,
      description:
        'The users it is for. One who is named twice gets it once; users that ISM does not know are reported, the others served.',
    },
    message: {
      description: `Any JSON, at most ${MAX_MESSAGE_BYTES} bytes of it, without numbers beyond ±(2^53 - 1) and fields named __proto__.`,
    },
    createdAt: {
      anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }],
      description: "When it came about, by the sender's clock; users see it as `sentAt`.",
    },
  },
  title: 'Notification',
  description: 'A notification to users of ISM, by Kafka or by webhook.',
} as const

const validate = exactValidator(NOTIFICATION_SCHEMA)

/** The notification that is JSON in `bytes`. @throws AppError VALIDATION_ERROR; PAYLOAD_TOO_LARGE */
export function parseNotification(bytes: Buffer): NewNotification {
  if (bytes.length > MAX_NOTIFICATION_BYTES) throw tooLarge('The notification', MAX_NOTIFICATION_BYTES)
  const { id, toUsers, message, createdAt } = validate(parseJson(bytes))
  return {
    id: id?.toLowerCase(),
    toUsers: [...new Set(toUsers.map((user) => user.toLowerCase()))],
    message: messageJson(message),
    sentAt: createdAt ? parseTimestamp(createdAt) : undefined,
  }
}

/** The JSON of a message that is JSON in `bytes`. @throws AppError VALIDATION_ERROR; PAYLOAD_TOO_LARGE */
export function parseMessage(bytes: Buffer): string {
  if (bytes.length > MAX_NOTIFICATION_BYTES) throw tooLarge('The message', MAX_MESSAGE_BYTES)
  return messageJson(parseJson(bytes, 'The message'))
}

function messageJson(message: unknown): string {
  const path = largeNumberIn(message, 'message')
  if (path) throw invalid(`${path.slice(0, 200)}: must be between ±${Number.MAX_SAFE_INTEGER}; send it as a text`)
  const json = JSON.stringify(message)
  if (Buffer.byteLength(json) > MAX_MESSAGE_BYTES) throw tooLarge('message:', MAX_MESSAGE_BYTES)
  return json
}

/** Where there is a number that may have been another one as it was written: from here on a double is exact no more. */
function largeNumberIn(value: unknown, path: string): string | undefined {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER ? path : undefined
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, each] of Object.entries(value)) {
    const found = largeNumberIn(each, `${path}.${name}`)
    if (found) return found
  }
  return undefined
}

const tooLarge = (what: string, bytes: number) =>
  new AppError('PAYLOAD_TOO_LARGE', `${what} may have at most ${bytes} bytes of JSON.`)
