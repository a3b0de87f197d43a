/** The checker of the chaos runs notices what no event tells: silence, a Resync, a refusal that nothing explains. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/log/cursor.ts'
import { Device } from '../chaos/device.ts'
import { Findings } from '../chaos/findings.ts'
import { Model } from '../chaos/model.ts'
import { judgeHearing, nodesAreWell } from '../chaos/settle.ts'
import { Sight } from '../chaos/sight.ts'
import { World } from '../chaos/world.ts'
import { eventually } from '../support/eventually.ts'
import { Person } from '../support/person.ts'
import { createRandom } from '../support/random.ts'

const CREATED_AT = '2026-01-01T00:00:00.000Z'
const [host, guest, other] = ['host', 'guest', 'other'].map((name) => new Person('', `${name}-id`, name, '')) as [
  Person,
  Person,
  Person,
]

let findings: Findings
let model: Model
beforeEach(() => {
  findings = new Findings()
  model = new Model([host, guest, other], findings)
})

const cursor = (seq: number) => encodeCursor({ epoch: 'ab', seq })
const unexpected = () => [findings.counts.unexpected, ...findings.examples.map((example) => example.slice(0, 150))]

describe('at the end', () => {
  const listener = (through: number | undefined, status = 200) => ({
    person: guest,
    sight: through === undefined ? undefined : new Sight(model, guest, through),
    status,
  })

  test('nothing is found where everybody heard the last message', () => {
    judgeHearing(findings, [listener(7), listener(9)], 7)
    expect(findings.total).toBe(0)
  })

  test('a device that was not told of it is found, and asked for all up to it', () => {
    const deaf = listener(6)
    judgeHearing(findings, [listener(7), deaf], 7)
    expect(unexpected()).toEqual([1, expect.stringContaining('everything up to 6')])
    expect(deaf.sight?.through).toBe(7)
  })

  test('a device whose stream never opened is found', () => {
    judgeHearing(findings, [listener(7), listener(undefined, 503)], 7)
    expect(unexpected()).toEqual([1, expect.stringContaining('never told where its stream begins, status 503')])
  })

  test('a node that does not become ready is found', async () => {
    const node = { url: 'http://127.0.0.1:1', process: { output: 'the end of its log' } }
    await nodesAreWell({ nodes: [node as never] }, findings, 50)
    expect(unexpected()).toEqual([1, expect.stringContaining('the end of its log')])
  })
})

describe('a 403', () => {
  const refusal = { status: 403, headers: new Headers(), body: {} }

  test.each([
    ['of who never tried to leave a group is found', 'Group', [], 1],
    ['of who has tried to leave is explained', 'Group', [guest], 0],
    ['in a group that others are leaving is found', 'Group', [host, other], 1],
    ['in a private room that is being ended is explained', 'Single', [host], 0],
  ] as const)('%s', (_, roomType, leavers, count) => {
    const world = new World(model, [])
    model.expectGroup('tea', [host, guest])
    const roomName = roomType === 'Group' ? 'tea' : guest.name
    const record = model.heardOfRoom({ id: 'room', roomType, roomName }, host)
    for (const { id } of leavers) record.leavers.add(id)
    record.mayEnd = leavers.length > 0
    const [room] = world.rooms
    if (room) world.refused(room, guest, refusal, 'sending')
    expect(room && findings.counts.unexpected).toBe(count)
    expect(room?.members.has(guest)).toBe(count === 1)
  })
})

describe('a device', () => {
  const servers: Server[] = []
  const devices: Device[] = []
  afterEach(async () => {
    await Promise.all(devices.splice(0).map((device) => device.stop()))
    for (const server of servers.splice(0)) server.close().closeAllConnections()
  })

  /** One that begins without a cursor, at a node that answers each stream with these frames. */
  async function deviceAt(...frames: string[]): Promise<Device> {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'text/event-stream')
      response.write(frames.join(''))
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const world = new World(model, [`http://127.0.0.1:${(server.address() as AddressInfo).port}`])
    const device = Device.beginNow(world, createRandom(1), guest)
    device.calmDown()
    devices.push(device)
    return device
  }
  const opening = (seq: number) => `event: cursor\nid: ${cursor(seq)}\ndata: {}\n\n`
  const frame = (seq: number, event: object) =>
    `id: ${cursor(seq)}\ndata: ${JSON.stringify({ seq, eventId: cursor(seq), createdAt: CREATED_AT, ...event })}\n\n`
  const read = (seq: number) => frame(seq, { type: 'UserReadChat', roomId: 'room', userId: guest.id, roomSeq: 1 })

  test('that begins without a cursor is asked for everything after the cursor that its stream opens with', async () => {
    const device = await deviceAt('retry: 100\n\n', opening(4), read(9))
    await eventually('the event', async () => device.sight?.through === 9)
    expect(device.sight?.from).toBe(4)
    expect(findings.total).toBe(0)
  })

  test('whose stream opens without a cursor is found', async () => {
    const device = await deviceAt('retry: 100\n\n', read(9))
    await eventually('the event', async () => device.sight?.through === 9)
    expect(unexpected()).toEqual([1, expect.stringContaining('did not open with a cursor')])
  })

  test('that is told to reload is found: nothing was trimmed', async () => {
    const device = await deviceAt(opening(4), frame(9, { type: 'Resync', reason: 'TOO_OLD' }))
    await eventually('the Resync', async () => device.sights.length === 2)
    expect(unexpected()).toEqual([1, expect.stringContaining('a Resync for guest, after 4')])
  })
})
