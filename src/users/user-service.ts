/** Profiles and the search for people. */
import type { Queryable } from '../infra/postgres.ts'
import { type RelationshipType, relationshipType } from '../relationships/relationship.ts'
import { invalid, notFound } from '../shared/app-error.ts'
import { parseUuid } from '../shared/ids.ts'
import type { CurrentUser, UserRow } from './user.ts'
import { findUserWithPair, searchUsers, type UserWithPair } from './user-repository.ts'

export type UserWithRelationship = { user: UserRow; relationshipType: RelationshipType }

export type UserPage = { nextCursor: string | null; content: UserWithRelationship[] }

const PAGE = 20

export class UserService {
  readonly #db: Queryable

  constructor(db: Queryable) {
    this.#db = db
  }

  /** @throws AppError CONTENT_NOT_FOUND no such user, or a deleted one */
  async profile(viewer: CurrentUser, userId: string): Promise<UserWithRelationship> {
    const user = await findUserWithPair(this.#db, userId, viewer.id)
    if (!user) throw notFound('User not found.')
    return withRelationship(user)
  }

  /** @throws AppError VALIDATION_ERROR the cursor is not one of ours */
  async search(viewer: CurrentUser, text: string, cursor: string | undefined): Promise<UserPage> {
    const after = cursor === undefined ? undefined : decodeAfter(cursor)
    const users = await searchUsers(this.#db, text, viewer.id, after, PAGE + 1)
    const content = users.slice(0, PAGE)
    const last = content.at(-1)
    return {
      nextCursor: users.length > PAGE && last ? encodeAfter(last) : null,
      content: content.map(withRelationship),
    }
  }
}

function withRelationship({ pairState, viewerIsA, ...user }: UserWithPair): UserWithRelationship {
  return { user, relationshipType: relationshipType(pairState, viewerIsA) }
}

function encodeAfter({ displayName, id }: UserRow): string {
  return Buffer.from(JSON.stringify([displayName, id])).toString('base64url')
}

function decodeAfter(cursor: string): { displayName: string; id: string } {
  try {
    const [displayName, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    const uuid = parseUuid(id)
    if (typeof displayName === 'string' && !displayName.includes('\0') && uuid) return { displayName, id: uuid }
  } catch {
    // Falls through: whatever it is, it is none of ours.
  }
  throw invalid('cursor: must be a nextCursor of an earlier page')
}
