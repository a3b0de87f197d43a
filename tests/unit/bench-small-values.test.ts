/** Benches with fewer streams and requests than their own settings have. */
import { expect, test } from 'vitest'
import { smallRoomsLoad } from '../../bench/streams/small-rooms.ts'
import { SMALL_ROOMS } from '../../bench/streams/target.ts'
import { makeCrowd } from '../../bench/support/crowd.ts'
import type { Stage } from '../../bench/support/stage.ts'

test.each([1, 50, 1_000, 1_500, 10_000])('%i streams in small rooms: as many events are due as come', (streams) => {
  const { rooms, deliveries } = smallRoomsLoad(streams)
  for (let turn = 0; turn < 20; turn++) {
    const published = rooms(turn)
    expect(published.length).toBeGreaterThan(0)
    const listeners = Array.from({ length: streams }, (_, n) => n).filter((n) => published.includes(n % SMALL_ROOMS))
    expect(deliveries(turn)).toBe(listeners.length)
    expect(new Set(published).size).toBe(published.length)
  }
})

test('all small rooms that somebody listens in have their turn', () => {
  const { rooms } = smallRoomsLoad(1_500)
  const published = Array.from({ length: 10 }, (_, turn) => rooms(turn)).flat()
  expect(new Set(published).size).toBe(SMALL_ROOMS)
})

test('a crowd that does not fill its rooms is refused: some would hear twice what is counted once', async () => {
  const stage = { tokensOf: async (people: unknown[]) => people.map(() => 'token') } as unknown as Stage
  await expect(makeCrowd(stage, 15)).rejects.toThrow('a multiple of 10')
  expect((await makeCrowd(stage, 20)).rooms).toHaveLength(2)
})
