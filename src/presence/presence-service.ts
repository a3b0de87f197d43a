/** Whether somebody is online, for whoever may know. */
import type { Queryable } from '../infra/postgres.ts'
import { relationshipType } from '../relationships/relationship.ts'
import { forbidden, notFound } from '../shared/app-error.ts'
import type { CurrentUser } from '../users/user.ts'
import { findPresence, type SeenBy } from './presence-repository.ts'

export type Presence = { online: boolean; lastSeenAt: Date | null }

export class PresenceService {
  readonly #db: Queryable

  constructor(db: Queryable) {
    this.#db = db
  }

  /** @throws AppError CONTENT_NOT_FOUND no such user; INSUFFICIENT_PERMISSIONS a stranger, or blocked by either */
  async of(viewer: CurrentUser, userId: string): Promise<Presence> {
    const seen = await findPresence(this.#db, userId, viewer.id)
    if (!seen) throw notFound('User not found.')
    if (viewer.id !== userId && !mayKnow(seen))
      throw forbidden('Only friends and members of a common room see whether somebody is online.')
    return { online: seen.online, lastSeenAt: seen.online ? null : seen.lastSeenAt }
  }
}

function mayKnow({ pairState, viewerIsA, shareRoom }: SeenBy): boolean {
  const relationship = relationshipType(pairState, viewerIsA)
  if (relationship === 'CLIENT_BLOCKED' || relationship === 'CLIENT_GOT_BLOCKED') return false
  return relationship === 'FRIEND' || shareRoom
}
