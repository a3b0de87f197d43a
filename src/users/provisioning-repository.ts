/** SQL by which people come to be known: rows that ISM makes from tokens, marked as such in user_provision. */
import { type Database, errorCode, type Queryable } from '../infra/postgres.ts'
import type { CurrentUser } from './user.ts'

export type KnownPerson = CurrentUser & {
  deleted: boolean
  /** The claim that the name came from; null for a row that ISM did not make, which it never changes. */
  nameClaim: string | null
  /** The `iat` of that claim's token, in seconds. */
  issuedAt: number | null
}

export type Provision = { id: string; displayName: string; nameClaim: string; issuedAt: number }

const UNIQUE_VIOLATION = '23505'

/** @returns those of `ids` that there are */
export function findKnownPeople(db: Queryable, ids: readonly string[]): Promise<KnownPerson[]> {
  return db.query<KnownPerson>(
    'users.known',
    `select u.id, u.display_name as "displayName", u.deleted_at is not null as deleted,
      p.name_claim as "nameClaim", p.issued_at as "issuedAt"
    from app_user u left join user_provision p on p.user_id = u.id where u.id = any($1::uuid[])`,
    [ids],
  )
}

/** Makes the person, unless they exist meanwhile or the name is taken. */
export async function insertPerson(db: Queryable, { id, displayName, nameClaim, issuedAt }: Provision): Promise<void> {
  await db.query(
    'users.provision',
    `with made as (
      insert into app_user (id, created_at, display_name, raw_name, friends_count, street_credits, role)
      values ($1, now(), $2::text, left(lower($2::text), 255), 0, 0, 'USER')
      on conflict do nothing returning id)
    insert into user_provision (user_id, name_claim, issued_at) select id, $3::text, $4::bigint from made`,
    [id, displayName, nameClaim, issuedAt],
  )
}

/** @returns false where another has the name */
export async function renamePerson(
  db: Database,
  { id, displayName, nameClaim, issuedAt }: Provision,
): Promise<boolean> {
  try {
    await db.query(
      'users.rename',
      `with newer as (
        update user_provision set name_claim = $3, issued_at = $4::bigint where user_id = $1 and issued_at < $4::bigint returning user_id)
      update app_user u set display_name = $2::text, raw_name = left(lower($2::text), 255), last_modified_at = now()
      from newer where u.id = newer.user_id`,
      [id, displayName, nameClaim, issuedAt],
    )
    return true
  } catch (error) {
    if (errorCode(error) === UNIQUE_VIOLATION) return false
    throw error
  }
}
