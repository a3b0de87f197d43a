/** SQL over app_user. */
import type { Queryable } from '../infra/postgres.ts'
import { USER_COLUMNS, type UserRow } from './user.ts'

/** A user with the stored relationship to the viewer, if there is one. */
export type UserWithPair = UserRow & { pairState: string | null; viewerIsA: boolean }

export async function findUser(db: Queryable, id: string): Promise<UserRow | undefined> {
  const [user] = await db.query<UserRow>(
    'users.find',
    `select ${USER_COLUMNS} from app_user u where u.id = $1 and u.deleted_at is null`,
    [id],
  )
  return user
}

export async function findUserWithPair(db: Queryable, id: string, viewerId: string): Promise<UserWithPair | undefined> {
  const [user] = await db.query<UserWithPair>(
    'users.find-with-pair',
    `select ${USER_COLUMNS}, r.state as "pairState", $2::uuid < u.id as "viewerIsA"
    from app_user u
    left join user_relationship r on r.user_a_id = least(u.id, $2::uuid) and r.user_b_id = greatest(u.id, $2::uuid)
    where u.id = $1 and u.deleted_at is null`,
    [id, viewerId],
  )
  return user
}

/**
 * Users whose name contains `text`, by display name, then id, after the given one.
 * @param text compared without case; every character is plain
 */
export function searchUsers(
  db: Queryable,
  text: string,
  viewerId: string,
  after: { displayName: string; id: string } | undefined,
  limit: number,
): Promise<UserWithPair[]> {
  const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`
  // PostgreSQL's lower() takes each character by itself; names of ISM 0.7.9 were kept as JavaScript does it: İ as i and a dot.
  return db.query<UserWithPair>(
    'users.search',
    `select ${USER_COLUMNS}, r.state as "pairState", $2::uuid < u.id as "viewerIsA"
    from app_user u
    left join user_relationship r on r.user_a_id = least(u.id, $2::uuid) and r.user_b_id = greatest(u.id, $2::uuid)
    where u.deleted_at is null and u.id <> $2
      and (lower(coalesce(u.raw_name, u.display_name)) like lower($1::text)
        or lower(coalesce(u.raw_name, u.display_name)) like $6::text)
      and ($3::text is null or (u.display_name, u.id) > ($3::text, $4::uuid))
    order by u.display_name, u.id
    limit $5`,
    [pattern, viewerId, after?.displayName ?? null, after?.id ?? null, limit, pattern.toLowerCase()],
  )
}
