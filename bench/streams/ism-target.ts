/** All of ISM, with rooms and members put into its database; events are appended to its log as a batch of sends is. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { type EmbeddedIsm, startEmbeddedIsm } from '../support/embedded-ism.ts'
import { HttpConnection } from '../support/http-client.ts'
import { now, SMALL_ROOMS, type Target } from './target.ts'

export const TEXT = 'The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.'
const PREVIEW = JSON.stringify({ type: 'Text', sender_username: 'Person 0', text: `${TEXT.slice(0, 40)}...` })

/** @param count people, each of whom is in everybody's room and in one small room */
export async function startIsm(count: number, nodeOptions: string[]): Promise<Target> {
  const ism = await startEmbeddedIsm(nodeOptions)
  const sql = await ism.connect()
  const people = Array.from({ length: count }, () => randomUUID())
  const everybody = randomUUID()
  const small = Array.from({ length: SMALL_ROOMS }, () => randomUUID())
  await fill(sql, people, everybody, small)
  const tokens = await sign(ism, people)
  const client = await HttpConnection.open(ism.port)
  return {
    name: 'ISM',
    port: ism.port,
    pid: ism.pid,
    storePid: ism.postgresPid,
    listen: (n) =>
      `GET /api/sse HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${tokens[n]}\r\n\r\n`,
    async publish(rooms) {
      const ids = rooms.map((room) => (room === 'everybody' ? everybody : small[room]))
      // The first SMALL_ROOMS people are in the small room of their own number.
      const senders = rooms.map((room) => people[room === 'everybody' ? 0 : room])
      const sent = now()
      await sql.query({
        name: 'publish',
        text: `select append_sends($1, $2, array(select gen_random_uuid() from generate_series(1, $3)), array_fill(null::uuid, array[$3]),
          array_fill(1::smallint, array[$3]), array_fill($4::text, array[$3]), array_fill($5::text, array[$3]))`,
        values: [ids, senders, rooms.length, JSON.stringify({ text: TEXT }), PREVIEW],
      })
      return { sent, acknowledged: now() }
    },
    unrelated: () => client.request('GET', `/api/users/${people[0]}`, tokens[0] ?? ''),
    async stop() {
      client.close()
      await sql.end()
      await ism.stop()
    },
  }
}

async function fill(sql: pg.Client, people: string[], everybody: string, small: string[]): Promise<void> {
  await sql.query(
    `insert into app_user (id, created_at, display_name, raw_name, friends_count, street_credits, role)
    select id, now(), 'Person ' || n, 'person ' || n, 0, 0, 'USER' from unnest($1::uuid[]) with ordinality as p(id, n)`,
    [people],
  )
  await sql.query(
    `insert into chat_room (id, created_at, room_name, room_type)
    select id, now(), 'Room', 'Group' from unnest($1::uuid[]) as r(id)`,
    [[everybody, ...small]],
  )
  await sql.query(
    `with member as (
      select id as user_id, $2::uuid as room_id from unnest($1::uuid[]) as p(id)
      union all
      select id, ($3::uuid[])[(n - 1) % cardinality($3::uuid[]) + 1] from unnest($1::uuid[]) with ordinality as p(id, n)),
    joined as (
      insert into chat_room_participant (joined_at, room_id, user_id, participant_state)
      select now(), room_id, user_id, 'Joined' from member)
    insert into room_membership (user_id, room_id, from_seq) select user_id, room_id, 0 from member`,
    [people, everybody, small],
  )
  await sql.query('analyze')
}

async function sign(ism: EmbeddedIsm, people: string[]): Promise<string[]> {
  const tokens: string[] = []
  for (let n = 0; n < people.length; n += 500)
    tokens.push(...(await Promise.all(people.slice(n, n + 500).map((id, m) => ism.tokenOf(id, `Person ${n + m + 1}`)))))
  return tokens
}
