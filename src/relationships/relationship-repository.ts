/** SQL over user_relationship and what it keeps in app_user. */
import type { Queryable } from '../infra/postgres.ts'
import { USER_COLUMNS, type UserRow } from '../users/user.ts'
import type { PairState } from './relationship.ts'

/** Two people in the order that the table keeps them. */
export type Pair = { a: string; b: string }

export function pairOf(one: string, other: string): Pair {
  return one < other ? { a: one, b: other } : { a: other, b: one }
}

export async function findPairState(db: Queryable, { a, b }: Pair): Promise<PairState | null> {
  const [row] = await db.query<{ state: PairState }>(
    'relationships.find',
    'select state from user_relationship where user_a_id = $1 and user_b_id = $2',
    [a, b],
  )
  return row?.state ?? null
}

export async function savePairState(db: Queryable, { a, b }: Pair, state: PairState | null, time: Date): Promise<void> {
  if (state === null) {
    await db.query('relationships.delete', 'delete from user_relationship where user_a_id = $1 and user_b_id = $2', [
      a,
      b,
    ])
    return
  }
  await db.query(
    'relationships.save',
    `insert into user_relationship (user_a_id, user_b_id, state, relationship_change_timestamp) values ($1, $2, $3, $4)
    on conflict (user_a_id, user_b_id) do update
      set state = excluded.state, relationship_change_timestamp = excluded.relationship_change_timestamp`,
    [a, b, state, time],
  )
}

/** Changes both friends' count. */
export async function addToFriendsCount(db: Queryable, { a, b }: Pair, change: 1 | -1): Promise<void> {
  await db.query(
    'relationships.count-friends',
    'update app_user set friends_count = greatest(0, friends_count + $3) where id in ($1, $2)',
    [a, b, change],
  )
}

/** Those of `others` who are in a block with `userId`, whichever side blocked. */
export async function findBlocked(db: Queryable, userId: string, others: string[]): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    'relationships.blocked',
    `select o.id from unnest($2::uuid[]) as o(id)
    join user_relationship r on r.user_a_id = least(o.id, $1::uuid) and r.user_b_id = greatest(o.id, $1::uuid)
    where r.state in ('A_BLOCKED', 'B_BLOCKED', 'ALL_BLOCKED')`,
    [userId, others],
  )
  return rows.map(({ id }) => id)
}

export function listFriends(db: Queryable, userId: string): Promise<UserRow[]> {
  return listOthers(db, 'relationships.friends', userId, 'FRIEND', 'FRIEND')
}

/** Who has invited `userId` to be friends. */
export function listFriendRequests(db: Queryable, userId: string): Promise<UserRow[]> {
  return listOthers(db, 'relationships.requests', userId, 'B_INVITED', 'A_INVITED')
}

/**
 * The others of the pairs in which `userId` is A and the state `asA`, or B and `asB`; by display name, then id. A row out
 * of order is one that ISM 0.7.9 left of a pair that it had both ways round, and does not count.
 */
function listOthers(db: Queryable, name: string, userId: string, asA: PairState, asB: PairState): Promise<UserRow[]> {
  return db.query<UserRow>(
    name,
    `select ${USER_COLUMNS} from (
      select user_b_id as id from user_relationship where user_a_id = $1 and state = $2 and user_a_id < user_b_id
      union all
      select user_a_id from user_relationship where user_b_id = $1 and state = $3 and user_a_id < user_b_id) o
    join app_user u on u.id = o.id
    where u.deleted_at is null order by u.display_name, u.id`,
    [userId, asA, asB],
  )
}
