/** People, rooms and messages, put into the tables of ISM in bulk. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { Person } from './stage.ts'

export type Room = { id: string; members: readonly Person[] }

export function newPeople(count: number): Person[] {
  return Array.from({ length: count }, (_, n) => ({ id: randomUUID(), displayName: `Person ${n}` }))
}

/** `count` rooms of `size`, dealt from the people in turn. */
export function newRooms(people: readonly Person[], count: number, size: number): Room[] {
  return Array.from({ length: count }, (_, n) => ({
    id: randomUUID(),
    members: Array.from({ length: size }, (_, m) => people[(n * size + m) % people.length] as Person),
  }))
}

export async function seedPeople(sql: pg.Client, people: readonly Person[]): Promise<void> {
  await sql.query(
    `insert into app_user (id, created_at, display_name, raw_name, friends_count, street_credits, role)
    select id, now(), name, lower(name), 0, 0, 'USER' from unnest($1::uuid[], $2::text[]) as p(id, name)`,
    [people.map(({ id }) => id), people.map(({ displayName }) => displayName)],
  )
}

export async function seedRooms(sql: pg.Client, rooms: readonly Room[]): Promise<void> {
  await sql.query(
    `insert into chat_room (id, created_at, room_name, room_type, began_before_log)
    select id, now(), 'Room ' || n, 'Group', false from unnest($1::uuid[]) with ordinality as r(id, n)`,
    [rooms.map(({ id }) => id)],
  )
  const members = rooms.flatMap((room) => room.members.map((person) => [room.id, person.id] as const))
  await sql.query(
    `with member as (select * from unnest($1::uuid[], $2::uuid[]) as m(room_id, user_id)),
    joined as (
      insert into chat_room_participant (joined_at, room_id, user_id, participant_state)
      select now(), room_id, user_id, 'Joined' from member)
    insert into room_membership (user_id, room_id, from_seq) select user_id, room_id, 0 from member`,
    [members.map(([room]) => room), members.map(([, user]) => user)],
  )
  // Not the log: what is known of an empty table makes plans that are slow once it has grown.
  await sql.query('analyze app_user, chat_room, chat_room_participant, room_membership')
}

/** One message to each of the rooms from its first member, appended to the log as a batch of sends is. */
export async function appendToEach(sql: pg.Client, rooms: readonly Room[], text: string): Promise<void> {
  await sql.query({
    name: 'append-to-each',
    text: `select append_sends($1, $2, array(select gen_random_uuid() from generate_series(1, $3)),
      array_fill(null::uuid, array[$3]), array_fill(1::smallint, array[$3]), array_fill($4::text, array[$3]),
      array_fill($5::text, array[$3]))`,
    values: [
      rooms.map(({ id }) => id),
      rooms.map(({ members }) => members[0]?.id),
      rooms.length,
      JSON.stringify({ text }),
      previewText('Person 0', text),
    ],
  })
}

/** As the log has it beside a message. */
export function previewText(sender: string, text: string): string {
  return JSON.stringify({ type: 'Text', sender_username: sender, text: `${text.slice(0, 40)}...` })
}
