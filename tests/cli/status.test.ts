/** `ism status`: the log and its projections, in words and in JSON. */
import { hostname } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { archived, holdArchive } from '../support/archive.ts'
import { configuredFor, directoryWith, ism } from '../support/command-line.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'

let server: TestIsm
beforeAll(async () => {
  server = await startIsm()
})
afterAll(() => server.stop())

test('shows how far the archive is, and that it falls behind while nobody works at it', async () => {
  const cwd = await configuredFor(server)
  const [alice, bob] = await server.people('alice', 'bob')
  const roomId = await alice.createRoom([bob], 'Cooks')
  await archived(server)
  const status = async () => JSON.parse((await ism(['status', '--json'], { cwd })).stdout)
  const before = await status()
  expect(before).toEqual({
    log: { epoch: expect.stringMatching(/^[0-9a-f]{32}$/), headSeq: expect.any(Number), trimmedSeq: 0 },
    projections: [
      {
        name: 'archive',
        seq: before.log.headSeq,
        lag: 0,
        lagSeconds: 0,
        holder: expect.stringMatching(/^[0-9a-f-]{36}$/),
        brokenAt: null,
      },
    ],
    deadDeliveries: [],
    nodes: [
      {
        name: `${hostname()} ${process.pid}`,
        holder: before.projections[0].holder,
        people: 0,
        tailSeq: expect.any(Number),
        lag: expect.any(Number),
        lagSeconds: expect.any(Number),
      },
    ],
  })

  const release = await holdArchive(server)
  await appendMany(server.sql, roomId, alice.id, 10)
  await server.sql.query(`update event set logged_at = logged_at - interval '1 hour'`)
  const behind = await status()
  expect(behind.projections).toMatchObject([{ seq: before.log.headSeq, lag: 10 }])
  expect(behind.projections[0].lagSeconds).toBeGreaterThanOrEqual(3_600)
  const { code, stdout } = await ism(['status'], { cwd })
  expect(code).toBe(0)
  expect(stdout).toMatch(new RegExp(`${hostname()} ${process.pid}\\W+\\d+`))
  expect(stdout).toMatch(/archive\W+\d+\W+10\W+36\d\d/)
  await release()
})

test('says that nothing listens where the database should be', async () => {
  const cwd = await directoryWith({
    'production.config.toml': `
[user_db_config]
db_host = "127.0.0.1"
db_port = 1
db_user = "ism"
db_password = "SECRET"
db_name = "ism"
[token_issuer]
issuer = "https://idp.example"
`,
  })
  const { code, stderr } = await ism(['status'], { cwd })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^ism: .*ECONNREFUSED.*\n$/)
})
