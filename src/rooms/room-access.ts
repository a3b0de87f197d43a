/** Who may touch a room: the one rule that every call on a room's inside asks first. */
import { forbidden, notFound } from '../shared/app-error.ts'

/**
 * @param access what was read of the room for the caller; `undefined` where there is no such room
 * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member
 */
export function membersOnly<Access extends { isMember: boolean }>(access: Access | undefined): Access {
  if (!access) throw notFound('Room not found.')
  if (!access.isMember) throw forbidden('You are not a member of this room.')
  return access
}
