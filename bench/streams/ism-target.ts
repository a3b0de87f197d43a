/** All of ISM, with rooms and members put into its database; events are appended to its log as a batch of sends is. */
import { now } from '../support/clock.ts'
import { appendToEach, newPeople, newRooms, seedPeople, seedRooms } from '../support/seed.ts'
import type { Stage } from '../support/stage.ts'
import { streamRequest } from '../support/streams/readers.ts'
import { SMALL_ROOMS, type Target } from './target.ts'

export const TEXT = 'The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.'

/** @param count people, each of whom is in everybody's room and in one small room */
export async function startIsm(stage: Stage, count: number, nodeOptions: string[]): Promise<Target> {
  const ism = await stage.startIsm({ nodeOptions, connections: count })
  const sql = await stage.connect()
  const people = newPeople(count)
  const [everybody] = newRooms(people, 1, count)
  if (!everybody) throw new Error('there is no room')
  // Dealt so that person `n` is in the small room `n % SMALL_ROOMS`.
  const small = newRooms(people, SMALL_ROOMS, 1).map(({ id }, room) => ({
    id,
    members: people.filter((_, n) => n % SMALL_ROOMS === room),
  }))
  await seedPeople(sql, people)
  await seedRooms(sql, [everybody, ...small])
  const tokens = await stage.tokensOf(people)
  return {
    name: 'ISM',
    port: ism.port,
    pid: ism.pid,
    storePid: stage.postgresPid,
    listen: (n) => streamRequest(tokens[n] ?? ''),
    async publish(rooms) {
      const sent = now()
      await appendToEach(
        sql,
        rooms.map((room) => (room === 'everybody' ? everybody : (small[room] ?? everybody))),
        TEXT,
      )
      return { sent, acknowledged: now() }
    },
    unrelated: (client) => client.request('GET', `/api/users/${people[0]?.id}`, tokens[0] ?? ''),
    async stop() {
      await sql.end()
      await ism.stop()
    },
  }
}
