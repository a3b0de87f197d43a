/** What a client may post about rooms. */
import { validator } from '../http/validate.ts'
import { invalid } from '../shared/app-error.ts'
import { parseTimestamp } from '../shared/timestamp.ts'
import type { NewRoomRequest } from './room-creation.ts'

const createRoom = validator({
  type: 'object',
  required: ['roomType', 'invitedUsers'],
  properties: {
    roomType: { enum: ['Single', 'Group'] },
    roomName: { type: 'string' },
    invitedUsers: { type: 'array', items: { type: 'string', format: 'uuid' }, minItems: 1 },
  },
})

const markRead = validator({
  type: 'object',
  properties: { roomSeq: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } },
})

const mute = validator({ type: 'object', properties: { until: { type: 'string', format: 'timestamp' } } })

const MAX_NAME = 255
const MAX_USERS = 1_000

/** @throws AppError VALIDATION_ERROR */
export function parseNewRoom(value: unknown): NewRoomRequest {
  const { roomType, roomName, invitedUsers } = createRoom(value)
  const name = roomName?.trim()
  if (name !== undefined && (name === '' || [...name].length > MAX_NAME))
    throw invalid(`roomName: must have 1 to ${MAX_NAME} characters`)
  const distinct = [...new Set(invitedUsers.map((id) => id.toLowerCase()))]
  if (distinct.length > MAX_USERS) throw invalid(`invitedUsers: must NOT have more than ${MAX_USERS} items`)
  return {
    roomType,
    roomName: roomType === 'Group' ? (name ?? null) : null,
    invitedUsers: distinct,
  }
}

/** @returns the roomSeq to mark read up to; `undefined` for everything. @throws AppError VALIDATION_ERROR */
export function parseMarkRead(value: unknown): number | undefined {
  return value === undefined || value === null ? undefined : markRead(value).roomSeq
}

/** @returns until when; null for until undone. @throws AppError VALIDATION_ERROR */
export function parseMute(value: unknown): Date | null {
  const until = value === undefined || value === null ? undefined : mute(value).until
  return until === undefined ? null : (parseTimestamp(until) ?? null)
}
