/** The way back to ISM 0.7.9 before the first new message: it finds its database as it left it, and can move in again. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { INSERT_MESSAGE, withCassandra } from '../support/fixture-0.7.9/cassandra.ts'
import { personNamed, roomCalled } from '../support/fixture-0.7.9/community.ts'
import { LegacyService } from '../support/fixture-0.7.9/legacy-service.ts'
import { VARIABLES } from '../support/fixture-0.7.9/stores.ts'
import { describeWith } from '../support/services.ts'
import { endProcesses } from '../support/test-process.ts'

const DOCUMENT = new URL('../../docs/moving-from-ism-0.7.md', import.meta.url)
const TABLES = ['app_user', 'chat_room', 'chat_room_participant', 'user_relationship', '_sqlx_migrations']

type Catalog = Record<'columns' | 'constraints' | 'indexes' | 'others', Record<string, string>>

describeWith(VARIABLES, 'the way back to ISM 0.7.9', (servers) => {
  let service: LegacyService
  let catalogBefore: Catalog
  let rowsBefore: Record<string, string[]>

  beforeAll(async () => {
    service = await LegacyService.create(servers)
    catalogBefore = await catalog()
    rowsBefore = await rows()
    await moveIn()
    // Somebody looked around, and nobody said anything.
    const alice = await service.person(personNamed(service.community, 'Alice'))
    const [room] = (await alice.get('/api/rooms')).body
    expect((await alice.timeline(room.id)).length).toBeGreaterThan(0)
    await service.stopNodes()
  }, 120_000)
  afterAll(async () => {
    await service?.close()
    await endProcesses()
  })

  async function moveIn(): Promise<void> {
    for (const command of ['migrate', 'init-keyspace']) expect((await service.ism(command)).code).toBe(0)
    await service.node()
  }

  /** What PostgreSQL has in this database, each by its name. */
  async function catalog(): Promise<Catalog> {
    const read = async (query: string) => {
      const { rows } = await service.sql.query<{ name: string; definition: string }>(query)
      return Object.fromEntries(rows.map(({ name, definition }) => [name, definition]))
    }
    const ours = `table_name in (${TABLES.map((table) => `'${table}'`).join()})`
    return {
      columns: await read(
        `select table_name || '.' || column_name as name,
          concat_ws(' ', data_type, character_maximum_length, datetime_precision, is_nullable, column_default) as definition
        from information_schema.columns where ${ours}`,
      ),
      constraints: await read(
        `select conname as name, c.relname || ' ' || pg_get_constraintdef(o.oid) as definition
        from pg_constraint o join pg_class c on c.oid = o.conrelid where ${ours.replace('table_name', 'c.relname')}`,
      ),
      indexes: await read(
        `select indexname as name, indexdef as definition from pg_indexes where ${ours.replace('table_name', 'tablename')}`,
      ),
      others: await read(
        `select name, kind as definition from (
          select oid, relname as name, relkind::text as kind from pg_class where relnamespace = 'public'::regnamespace
          union all select oid, proname, 'function' from pg_proc where pronamespace = 'public'::regnamespace
          union all select oid, tgname, 'trigger' from pg_trigger where not tgisinternal) o
        where not exists (select from pg_depend d where d.objid = o.oid and d.deptype = 'e')`,
      ),
    }
  }

  /** Every row of 0.7.9's tables in the columns that it has; of a pair neither its order nor which of two rows is first. */
  async function rows(): Promise<Record<string, string[]>> {
    const lists = TABLES.map(async (table): Promise<[string, string[]]> => {
      const columns = Object.keys(catalogBefore.columns).flatMap((name) =>
        name.startsWith(`${table}.`) ? name.slice(table.length + 1) : [],
      )
      const { rows } = await service.sql.query<{ row: string }>(
        `select row_to_json(t)::text as row from (select ${columns.sort().join()} from ${table}) t`,
      )
      return [table, rows.map(({ row }) => (table === 'user_relationship' ? pairInOrder(row) : row)).sort()]
    })
    return Object.fromEntries(await Promise.all(lists))
  }

  function cassandra<T>(
    action: (execute: (query: string, params?: unknown[]) => Promise<unknown>) => Promise<T>,
  ): Promise<T> {
    const { cassandra: cluster, keyspace } = service.stores
    return withCassandra({ ...cluster, keyspace }, (client) =>
      action((query, params) => client.execute(query, params, { prepare: true })),
    )
  }

  describe('as the database is', () => {
    it('has every column, constraint and index of 0.7.9; only the preview is wider', async () => {
      const now = await catalog()
      const widened = 'chat_room.latest_message_preview_text'
      expect(catalogBefore.columns[widened]).toBe('character varying 255 YES')
      expect(now.columns).toMatchObject({ ...catalogBefore.columns, [widened]: 'text YES' })
      expect(now.constraints).toMatchObject(catalogBefore.constraints)
      expect(now.indexes).toMatchObject(catalogBefore.indexes)
      expect(await rows()).toEqual(rowsBefore)
    })

    it('takes what 0.7.9 writes, which names no column of ours', async () => {
      const room = `'${randomUUID()}'`
      const [alice, carol] = ['Alice', 'Carol'].map((label) => `'${personNamed(service.community, label).id}'`)
      const pair = `user_a_id = least(${alice}::uuid, ${carol}) and user_b_id = greatest(${alice}::uuid, ${carol})`
      const joined = 'insert into chat_room_participant (user_id, room_id, joined_at, participant_state) values'
      const statements = [
        `insert into chat_room (id, room_type, room_name, created_at, latest_message, latest_message_preview_text)
          values (${room}, 'Group', null, now(), now(), '{"type":"New"}')`,
        `${joined} (${alice}, ${room}, now(), 'Joined')`,
        `${joined} (${carol}, ${room}, now(), 'Joined')
          on conflict (user_id, room_id) do update set joined_at = now(), participant_state = 'Joined'`,
        `update chat_room set latest_message = now(), latest_message_preview_text = '{"type":"New"}' where id = ${room}`,
        `update chat_room_participant set last_message_read_at = now() where user_id = ${alice} and room_id = ${room}`,
        `update chat_room set room_image_url = 'bucket/room' where id = ${room}`,
        `update chat_room_participant set participant_state = 'Left' where user_id = ${carol} and room_id = ${room}`,
        `update user_relationship set state = 'FRIEND', relationship_change_timestamp = now() where ${pair}`,
        `delete from user_relationship where ${pair}`,
        `insert into user_relationship (user_a_id, user_b_id, state, relationship_change_timestamp)
          values (least(${alice}::uuid, ${carol}), greatest(${alice}::uuid, ${carol}), 'A_INVITED', now())`,
        `update app_user set friends_count = friends_count + 1 where id = ${alice}`,
        `delete from chat_room_participant where room_id = ${room}`,
        `delete from chat_room where id = ${room}`,
        `insert into app_user (id, created_at, display_name, friends_count, street_credits, raw_name, role)
          values ('${randomUUID()}', now(), 'Somebody new', 0, 0, 'somebody new', 'USER')`,
      ]
      const client = await service.sql.connect()
      try {
        await client.query('begin')
        for (const statement of statements) {
          const { rowCount } = await client.query(statement)
          expect({ statement, isDone: Number(rowCount) > 0 }).toEqual({ statement, isDone: true })
        }
        await client.query('rollback')
      } finally {
        client.release()
      }
    })
  })

  it('what ISM added goes away by the lines of the document, and nothing else', async () => {
    const [inPostgres = '', inCassandra = ''] = await sqlOfTheWayBack()
    await service.sql.query(inPostgres)
    expect(await catalog()).toEqual(catalogBefore)
    expect(await rows()).toEqual(rowsBefore)
    await cassandra(async (execute) => {
      const { keyspace } = service.stores
      for (const [drop] of inCassandra.replaceAll('messaging', keyspace).matchAll(/[^;\n]+(?=;)/g)) await execute(drop)
      const query = 'select table_name from system_schema.tables where keyspace_name = ?'
      expect(await execute(query, [keyspace])).toMatchObject({ rows: [{ table_name: 'chat_messages' }] })
    })
  })

  it('and what 0.7.9 did afterwards moves in like all the rest', async () => {
    const [alice, emoji] = await Promise.all(
      ['Alice', 'Emoji'].map((label) => service.person(personNamed(service.community, label))),
    )
    if (!alice || !emoji) throw new Error('they are in the fixture')
    const roomId = randomUUID()
    await service.sql.query(`
      insert into chat_room (id, created_at, latest_message, room_name, room_type)
        values ('${roomId}', now(), now(), 'Between', 'Group');
      insert into chat_room_participant (room_id, user_id, joined_at, participant_state)
        values ('${roomId}', '${alice.id}', now(), 'Joined'), ('${roomId}', '${emoji.id}', now(), 'Joined')`)
    await cassandra((execute) =>
      execute(INSERT_MESSAGE, [roomId, randomUUID(), alice.id, '{"text":"in between"}', 'Text', new Date()]),
    )

    await moveIn()
    service.readdress()
    const stream = await emoji.stream()
    expect((await emoji.timeline(roomId)).map(({ msgBody }) => msgBody)).toEqual([{ text: 'in between' }])
    const { body } = await alice.send(roomId, 'after')
    expect(await stream.next(({ type }) => type === 'ChatMessage')).toMatchObject({
      message: { messageId: body.messageId },
    })
    expect((await emoji.timeline(roomId)).map(({ msgBody }) => msgBody)).toEqual([
      { text: 'after' },
      { text: 'in between' },
    ])
    const old = roomCalled(service.community, 'of 26')
    expect(await alice.timeline(old.id)).toHaveLength(26)
  })
})

/** The blocks of code of that section: the first for PostgreSQL, the second for Cassandra. */
async function sqlOfTheWayBack(): Promise<string[]> {
  const [, section = ''] = (await readFile(DOCUMENT, 'utf8')).split('\n## The way back\n')
  return [...(section.split('\n## ')[0] ?? '').matchAll(/```sql\n([^`]*)```/g)].map(([, code = '']) => code)
}

/** One way to write what two rows may say. */
function pairInOrder(row: string): string {
  const { user_a_id: a, user_b_id: b, state, ...rest } = JSON.parse(row)
  if (a < b) return JSON.stringify({ a, b, state, ...rest })
  const flipped = /^[AB]_/.test(state) ? state.replace(/^./, (side: string) => (side === 'A' ? 'B' : 'A')) : state
  return JSON.stringify({ a: b, b: a, state: flipped, ...rest })
}
