/** The way to this version's schema: from nothing, from several processes at once, and from what ISM 0.7.9 left. */
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startApp } from '../../src/app.ts'
import type { PostgresConfig } from '../../src/config/config.ts'
import { migrate, migrationStatus } from '../../src/infra/migrations.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { trimLog } from '../support/archive.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { sign } from '../support/issuer-server.ts'
import { type Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

const ALL = (await readdir(new URL('../../migrations/', import.meta.url)))
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.slice(0, -'.sql'.length))
  .sort()
const silent = { logger: () => {} }

const databases: TestDatabase[] = []
afterAll(() => Promise.all(databases.map((database) => database.drop())))

async function emptyDatabase(): Promise<PostgresConfig> {
  const database = await createDatabase({ empty: true })
  databases.push(database)
  return database.config
}

async function query<Row extends object>(config: PostgresConfig, text: string, values?: unknown[]): Promise<Row[]> {
  const client = new pg.Client({ ...config, ssl: false })
  await client.connect()
  try {
    // Several statements answer with several results.
    const result = (await client.query<Row>(text, values)) as pg.QueryResult<Row>
    return result.rows
  } finally {
    await client.end()
  }
}

const tablesOf = async (config: PostgresConfig) =>
  (
    await query<{ table: string }>(
      config,
      "select table_name as table from information_schema.tables where table_schema = 'public' order by 1",
    )
  ).map(({ table }) => table)

describe('an empty database', () => {
  it('is brought to this version, once', async () => {
    const config = await emptyDatabase()
    const lines: string[] = []
    expect(await migrationStatus(config)).toEqual({ applied: [], pending: ALL, unknown: [] })
    expect(await migrate(config, { logger: (line) => lines.push(line) })).toEqual({ applied: ALL })
    expect(lines).toEqual(ALL.map((name) => `applied ${name}`))
    expect(await migrationStatus(config)).toEqual({ applied: ALL, pending: [], unknown: [] })
    const tables = await tablesOf(config)
    expect(await migrate(config, silent)).toEqual({ applied: [] })
    expect(await tablesOf(config)).toEqual(tables)
  })

  it('is brought there by one of three processes that start at once', async () => {
    const config = await emptyDatabase()
    const results = await Promise.all([migrate(config, silent), migrate(config, silent), migrate(config, silent)])
    expect(results.map(({ applied }) => applied).sort((a, b) => b.length - a.length)).toEqual([ALL, [], []])
    expect((await migrationStatus(config)).pending).toEqual([])
  })

  it('is not touched by a dry run, whose SQL does what migrating does', async () => {
    const [dry, wet] = await Promise.all([emptyDatabase(), emptyDatabase()])
    const { applied, sql = '' } = await migrate(dry, { ...silent, dryRun: true })
    expect(applied).toEqual(ALL)
    expect(await tablesOf(dry)).toEqual([])
    for (const name of ALL) expect(sql).toContain(`-- ${name}\n`)
    await query(dry, sql)
    await migrate(wet, silent)
    expect([...(await tablesOf(dry)), 'ism_migration'].sort()).toEqual((await tablesOf(wet)).sort())
    expect(await migrate(wet, { ...silent, dryRun: true })).toEqual({ applied: [], sql: '' })
  })

  it('stays as it was where a migration fails', async () => {
    const config = await emptyDatabase()
    await query(config, 'create table event (something_else int)')
    await expect(migrate(config, silent)).rejects.toThrow(/event.*already exists/)
    expect((await migrationStatus(config)).applied).toEqual([])
    expect((await tablesOf(config)).filter((table) => table !== 'ism_migration')).toEqual(['event'])
    await query(config, 'drop table event')
    expect(await migrate(config, silent)).toEqual({ applied: ALL })
  })
})

describe('serving', () => {
  let ism: TestIsm
  beforeAll(async () => {
    ism = await startIsm()
  })
  afterAll(() => ism.stop())

  const serve = (postgres: PostgresConfig, migrate = false) =>
    startApp({ ...ism.config, postgres }, { logger: createLogger('silent'), migrate })

  it('refuses a database that is behind', async () => {
    const config = await emptyDatabase()
    await expect(serve(config)).rejects.toThrow(/behind this ISM.*0001_social_tables.*ism migrate/)
    expect(await tablesOf(config)).toEqual([])
    await migrate(config, silent)
    const last = ALL.at(-1)
    await query(config, 'delete from ism_migration where name = $1', [last])
    await expect(serve(config)).rejects.toThrow(new RegExp(`behind this ISM: ${last} is missing`))
  })

  it('refuses a database that is newer, even where it may migrate', async () => {
    const config = await emptyDatabase()
    await migrate(config, silent)
    await query(config, "insert into ism_migration (name, run_on) values ('9999_from_the_future', now())")
    expect((await migrationStatus(config)).unknown).toEqual(['9999_from_the_future'])
    for (const migrate of [false, true])
      await expect(serve(config, migrate)).rejects.toThrow(/newer than this ISM.*9999_from_the_future/)
  })

  it('refuses at once a database that is not there, or that lets it not in', async () => {
    const config = await emptyDatabase()
    await expect(serve({ ...config, database: 'no_such_database' })).rejects.toThrow(/no_such_database/)
    await expect(serve({ ...config, user: 'no_such_role' })).rejects.toThrow(/no_such_role/)
  })

  it('migrates first where it is told to, and needs no more than an ordinary role that owns its database', async () => {
    const config = await emptyDatabase()
    const role = `ism_owner_${randomBytes(4).toString('hex')}`
    const password = randomBytes(12).toString('hex')
    const admin = { ...config, database: 'postgres' }
    await query(admin, `create role ${role} login password '${password}'`)
    await query(admin, `alter database ${config.database} owner to ${role}`)
    await query(config, `alter schema public owner to ${role}`)
    const owned = { ...config, user: role, password }
    const app = await serve(owned, true)
    const token = await sign(ism.key, ism.issuer.url, { preferred_username: 'of an ordinary role' })
    const somebody = new Person(`http://127.0.0.1:${app.address.port}`, '', '', token)
    expect((await somebody.get('/api/users/search?username=x')).status).toBe(200)
    await app.close()
    await query(config, `reassign owned by ${role} to current_user`)
    await query(admin, `alter database ${config.database} owner to current_user`)
    await query(config, `drop owned by ${role}`)
    await query(admin, `drop role ${role}`)
  })
})

describe('a database of ISM 0.7.9', () => {
  const ID = {
    Ada: 'a0000000-0000-4000-8000-000000000001',
    Ben: 'b0000000-0000-4000-8000-000000000002',
    Çağla: 'c0000000-0000-4000-8000-000000000003',
    Dan: 'd0000000-0000-4000-8000-000000000004',
    Eve: 'e0000000-0000-4000-8000-000000000005',
  }
  const PRIVATE = '11111111-0000-4000-8000-000000000001'
  const TEAM = '22222222-0000-4000-8000-000000000002'
  const SILENT = '33333333-0000-4000-8000-000000000003'
  const WITH_DAN = '44444444-0000-4000-8000-000000000004'
  const LEGACY = ['app_user', 'chat_room', 'chat_room_participant', 'user_relationship', '_sqlx_migrations']

  let config: PostgresConfig
  let ism: TestIsm
  let ada: Person
  let ben: Person
  let çağla: Person
  let eve: Person
  let before: Record<string, object[]>

  /** Every row of the tables of 0.7.9, in the columns that it has. */
  async function legacyRows(columns: Record<string, string>): Promise<Record<string, object[]>> {
    const tables = Object.entries(columns).map(async ([table, list]) => {
      const order = table === 'user_relationship' ? 'state' : '1, 2, 3, 4, 5'
      return [table, await query(config, `select ${list} from ${table} order by ${order}`)] as const
    })
    return Object.fromEntries(await Promise.all(tables))
  }
  async function legacyColumns(): Promise<Record<string, string>> {
    const rows = await query<{ table: string; columns: string }>(
      config,
      `select table_name as table, string_agg(column_name, ', ' order by ordinal_position) as columns
      from information_schema.columns where table_name = any ($1) group by 1`,
      [LEGACY],
    )
    return Object.fromEntries(rows.map(({ table, columns }) => [table, columns]))
  }

  beforeAll(async () => {
    config = await emptyDatabase()
    for (const file of ['fixture-0.7.9/schema.sql', 'database-0.7.9.sql'])
      await query(config, await readFile(new URL(`../support/${file}`, import.meta.url), 'utf8'))
    const columns = await legacyColumns()
    before = await legacyRows(columns)
    await migrate(config, silent)
    const after = await legacyRows(columns)
    expect(await migrate(config, silent)).toEqual({ applied: [] })
    expect(await legacyRows(columns)).toEqual(after)
    ism = await startIsm({ postgres: config })
    const person = async (name: keyof typeof ID) =>
      new Person(
        ism.url,
        ID[name],
        name,
        await sign(ism.key, ism.issuer.url, { sub: ID[name], preferred_username: `${name} by another name` }),
      )
    ;[ada, ben, çağla, eve] = await Promise.all([person('Ada'), person('Ben'), person('Çağla'), person('Eve')])
    const { user_relationship: pairs, ...others } = after
    const { user_relationship: pairsBefore, ...othersBefore } = before
    expect(others).toEqual(othersBefore)
    expect(pairs).toHaveLength(pairsBefore?.length ?? 0)
  })
  afterAll(() => ism.stop())

  const roomsOf = async (person: Person) => (await person.get('/api/rooms')).body
  const relationship = async (viewer: Person, name: keyof typeof ID) =>
    (await viewer.get(`/api/users/${ID[name]}`)).body.relationshipType

  it('has its people as they were, whatever their tokens call them', async () => {
    expect((await ada.get(`/api/users/${ID.Ada}`)).body.user).toEqual({
      id: ID.Ada,
      displayName: 'Ada',
      streetCredits: 12,
      profilePicture: 'https://example.com/ada.jpg',
      description: 'About Ada',
      friendsCount: 1,
      role: 'USER',
    })
    const found = async (text: string) =>
      (await ada.get(`/api/users/search?username=${encodeURIComponent(text)}`)).body.content.map(
        ({ user }: Answer['body']) => user.displayName,
      )
    expect(await found('ÇAĞ')).toEqual(['Çağla'])
    expect(await found('eve')).toEqual(['Eve'])
    expect(await found('dan')).toEqual([])
    expectRefusal(await ada.get(`/api/users/${ID.Dan}`), 'CONTENT_NOT_FOUND')
    const token = await sign(ism.key, ism.issuer.url, { sub: ID.Dan, preferred_username: 'Dan' })
    expectRefusal(await new Person(ism.url, ID.Dan, 'Dan', token).get('/api/rooms'), 'INSUFFICIENT_PERMISSIONS')
  })

  it('has its relationships, whichever way round they were kept', async () => {
    expect((await ada.get('/api/users/friends')).body).toMatchObject([{ id: ID.Ben }])
    expect((await ben.get('/api/users/friends')).body).toMatchObject([{ id: ID.Ada }])
    expect([await relationship(ada, 'Çağla'), await relationship(çağla, 'Ada')]).toEqual([
      'CLIENT_BLOCKED',
      'CLIENT_BLOCKED',
    ])
    expect([await relationship(ben, 'Çağla'), await relationship(çağla, 'Ben')]).toEqual([
      'CLIENT_GOT_BLOCKED',
      'CLIENT_BLOCKED',
    ])
    expect([await relationship(ada, 'Eve'), await relationship(eve, 'Ada')]).toEqual(['INVITE_RECEIVED', 'INVITE_SENT'])
    expect((await ada.get('/api/users/friends/requests')).body).toMatchObject([{ id: ID.Eve }])
  })

  it('has its rooms, the newest first, with unread by the old times', async () => {
    const media = 'm'.repeat(253 - '{"type":"Media","sender_username":"Ben","media_type":"'.length)
    expect(await roomsOf(ada)).toEqual([
      {
        id: TEAM,
        roomType: 'Group',
        roomImageUrl: expect.stringContaining(TEAM),
        roomName: 'Team',
        createdAt: '2025-02-02T00:00:00.000Z',
        latestMessage: '2025-09-01T10:00:00.000Z',
        unread: true,
        unreadCount: 0,
        muted: false,
        mutedUntil: null,
        latestMessagePreviewText: { type: 'Media', sender_username: 'Ben', media_type: media },
      },
      {
        id: PRIVATE,
        roomType: 'Single',
        roomImageUrl: null,
        roomName: 'Ben',
        createdAt: '2025-02-01T00:00:00.000Z',
        latestMessage: '2025-08-01T10:00:00.123Z',
        unread: false,
        unreadCount: 0,
        muted: false,
        mutedUntil: null,
        latestMessagePreviewText: { type: 'Text', sender_username: 'Ada', text: 'see you' },
      },
      expect.objectContaining({ id: WITH_DAN, roomName: 'Dan', unread: false }),
      {
        id: SILENT,
        roomType: 'Group',
        roomImageUrl: null,
        roomName: null,
        createdAt: '2025-02-03T00:00:00.000Z',
        latestMessage: '2025-02-03T00:00:00.000Z',
        // As 0.7.9 has it where nothing was ever said.
        unread: false,
        unreadCount: 0,
        muted: false,
        mutedUntil: null,
        latestMessagePreviewText: { type: 'New' },
      },
    ])
    expect(await roomsOf(ben)).toMatchObject([
      { id: TEAM, unread: false },
      { id: PRIVATE, unread: true, roomName: 'Ada', roomImageUrl: 'https://example.com/ada.jpg' },
    ])
    expect(await roomsOf(eve)).toMatchObject([{ id: SILENT, unread: true }])
    expect(await roomsOf(çağla)).toEqual([])
  })

  it('has its members, those who left and were invited too', async () => {
    expect((await ada.get(`/api/rooms/${TEAM}/users`)).body).toEqual([
      {
        id: ID.Ada,
        displayName: 'Ada',
        profilePicture: 'https://example.com/ada.jpg',
        joinedAt: '2025-02-02T00:00:00.000Z',
        lastMessageReadAt: null,
        membershipStatus: 'Joined',
      },
      expect.objectContaining({ id: ID.Ben, lastMessageReadAt: '2025-10-01T00:00:00.000Z' }),
      expect.objectContaining({ id: ID.Çağla, membershipStatus: 'Left' }),
      expect.objectContaining({ id: ID.Eve, membershipStatus: 'Invited' }),
    ])
    for (const person of [çağla, eve]) {
      expectRefusal(await person.get(`/api/rooms/${TEAM}`), 'CONTENT_NOT_FOUND')
      expectRefusal(await person.send(TEAM, 'hello'), 'INSUFFICIENT_PERMISSIONS')
    }
    expect((await ada.get(`/api/rooms/search?withUser=${ID.Ben}`)).body).toBe(PRIVATE)
  })

  it('knows by the old times who has read everything, until the first read', async () => {
    const readers = async () =>
      (await ada.get(`/api/rooms/${PRIVATE}/read-states`)).body.map(({ id }: Answer['body']) => id)
    expect(await readers()).toEqual([ID.Ada])
    const stream = await ada.stream()
    expect((await ben.post(`/api/rooms/${PRIVATE}/mark-read`)).status).toBe(200)
    expect(await stream.next(({ type }) => type === 'UserReadChat')).toMatchObject({ userId: ID.Ben, roomSeq: 0 })
    expect(await readers()).toEqual([ID.Ada, ID.Ben])
    expect((await ben.get(`/api/rooms/${PRIVATE}`)).body).toMatchObject({ unread: false, unreadCount: 0 })
  })

  it('goes on: what is said now is counted, heard by who was in before, and read', async () => {
    const streams = await Promise.all([ada.stream(), ben.stream()])
    const sent = await ada.send(TEAM, 'moved')
    expect(sent.body).toMatchObject({ roomSeq: 1, msgBody: { text: 'moved' } })
    for (const stream of streams) await stream.next(({ type }) => type === 'ChatMessage')
    expect(await ben.timeline(TEAM)).toEqual([{ ...sent.body, clientMessageId: null }])
    expect((await ben.get(`/api/rooms/${TEAM}`)).body).toMatchObject({ unread: true, unreadCount: 1 })
    expect((await ada.get(`/api/rooms/${TEAM}`)).body).toMatchObject({ unread: false, unreadCount: 0 })
    expect((await ada.post(`/api/rooms/${TEAM}/invite/${ID.Eve}`)).status).toBe(200)
    expect((await ada.get(`/api/rooms/${TEAM}/users`)).body.at(-1)).toMatchObject({
      id: ID.Eve,
      membershipStatus: 'Joined',
    })
    expect((await ada.post(`/api/rooms/${TEAM}/invite/${ID.Çağla}`)).status).toBe(403)
    expect((await eve.get(`/api/rooms/${TEAM}`)).body).toMatchObject({
      unread: true,
      unreadCount: 1,
      latestMessagePreviewText: { type: 'RoomChange', sender_username: 'Eve', room_change_type: 'JOIN' },
    })
    expect((await ada.post(`/api/rooms/${WITH_DAN}/leave`)).status).toBe(200)
    expect((await roomsOf(ada)).map(({ id }: Answer['body']) => id)).not.toContain(WITH_DAN)
  })

  it('takes previews longer than its column was, also once the log is trimmed', async () => {
    const long = '😀'.repeat(250)
    await query(config, 'update app_user set display_name = $1 where id = $2', [long, ID.Ben])
    const preview = async () => (await ada.get(`/api/rooms/${PRIVATE}`)).body.latestMessagePreviewText
    const expected = { type: 'Text', sender_username: long, text: 'z'.repeat(50) }
    await vi.waitFor(async () => {
      await ben.send(PRIVATE, 'z'.repeat(50))
      expect(await preview()).toEqual(expected)
    }, 8_000)
    await trimLog(ism)
    expect(await preview()).toEqual(expected)
  })
})
