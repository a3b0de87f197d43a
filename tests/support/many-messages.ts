/** Messages by the hundred, by the call that ISM itself appends a batch with, but without HTTP. */
import type pg from 'pg'

/** Texts '1', '2', … from `senderId`, in one batch. */
export async function appendMany(
  sql: pg.Pool | pg.PoolClient,
  roomId: string,
  senderId: string,
  count: number,
): Promise<void> {
  await sql.query(
    `select append_sends(array_fill($1::uuid, array[$3::int]), array_fill($2::uuid, array[$3]),
      array(select gen_random_uuid() from generate_series(1, $3)), array_fill(null::uuid, array[$3]),
      array_fill(1::smallint, array[$3]), array(select format('{"text":"%s"}', n) from generate_series(1, $3) n),
      array_fill('{"type":"Text","sender_username":"many","text":"many"}'::text, array[$3]))`,
    [roomId, senderId, count],
  )
}
