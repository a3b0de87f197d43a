/** Pushes while nodes are killed: whoever lost their stream gets theirs, all of them, in order. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { connect, PushReceiver, pushed } from '../support/pushes.ts'
import { endProcesses } from '../support/test-process.ts'

let receiver: PushReceiver
let service: Service
beforeEach(async () => {
  receiver = await new PushReceiver().start()
  service = await Service.create(undefined, {
    sections: { '': { log_level: 'info', push_notification_url: receiver.url } },
  })
})
afterEach(async () => {
  await endProcesses()
  await service.close()
  await receiver.stop()
})

/** The node that pushes, and the others. */
async function pushing(nodes: IsmNode[]): Promise<{ one: IsmNode; others: IsmNode[] }> {
  let one: IsmNode | undefined
  await eventually('one of them pushes', async () => {
    const { rows } = await service.sql.query(
      `select n.name from projection p join node n on n.holder = p.holder
      where p.name = 'push:http' and p.lease_until > clock_timestamp() and n.lease_until > clock_timestamp()`,
    )
    // A node that was killed and started again has another process.
    one = nodes.find(({ process: { pid } }) => rows[0]?.name.split(' ').includes(String(pid)))
    return one !== undefined
  })
  if (!one) throw new Error('no node pushes')
  return { one, others: nodes.filter((node) => node !== one) }
}

it('of whom the killed node had a stream come when its lease has ended, and not before', async () => {
  const nodes = [await service.node(), await service.node()]
  const { one, others } = await pushing(nodes)
  const [alice, bob, carol] = (await service.people(3, [one])) as [Person, Person, Person]
  const victim = others[0] as IsmNode
  const roomId = await alice.createRoom([bob, carol], 'Tea')
  await connect(service, bob.at(victim.url))
  await connect(service, carol)
  await pushed(service)
  receiver.received.length = 0
  await victim.kill('SIGKILL')
  const since = performance.now()
  await alice.send(roomId, 'one')
  await alice.send(roomId, 'two')
  await eventually('bob has them', async () => receiver.of(bob).length === 2, 14_000)
  expect(performance.now() - since).toBeLessThan(12_000)
  expect(receiver.textsOf(bob)).toEqual(['one', 'two'])
  await pushed(service)
  expect(receiver.of(carol)).toEqual([])
  expect(receiver.of(bob)).toHaveLength(2)
}, 60_000)

it('that a killed node had taken on and was waiting with are taken on by another', async () => {
  const nodes = [await service.node(), await service.node()]
  const { one, others } = await pushing(nodes)
  const [alice, bob, carol] = (await service.people(3, others)) as [Person, Person, Person]
  const roomId = await alice.createRoom([bob, carol], 'Tea')
  await connect(service, bob.at(one.url))
  await pushed(service)
  receiver.received.length = 0
  await alice.send(roomId, 'one')
  await eventually('carol has it', async () => receiver.of(carol).length === 1)
  await alice.send(roomId, 'two')
  await eventually('carol has it', async () => receiver.of(carol).length === 2)
  await one.kill('SIGKILL')
  await eventually('bob has them', async () => receiver.of(bob).length === 2, 16_000)
  expect(receiver.textsOf(bob)).toEqual(['one', 'two'])
}, 60_000)

it('go on with another node when the one that pushes is killed in the middle: each at least once, in order', async () => {
  const COUNT = 1_500
  const nodes = [await service.node(), await service.node()]
  const [alice, ...others] = (await service.people(9, nodes)) as [Person, ...Person[]]
  const roomId = await alice.createRoom(others, 'Tea')
  await pushed(service)
  receiver.received.length = 0
  for (let kill = 0; kill < 2; kill++) {
    const { one, others: rest } = await pushing(nodes)
    const at = alice.at((rest[0] as IsmNode).url)
    const sends = Array.from({ length: COUNT }, (_, n) => () => at.send(roomId, String(kill * COUNT + n)))
    const before = receiver.pushes.length
    let sent = 0
    const sending = (async () => {
      for (const send of sends) {
        expect((await send()).status).toBe(200)
        sent++
      }
    })()
    await eventually('it is at it', async () => receiver.pushes.length > before + 200, 30_000)
    // From here on nothing is accepted: pages of the log gather behind what is on its way.
    receiver.answer = () => undefined
    const enough = Math.min(sent + COUNT / 3, COUNT)
    await eventually('more has come', async () => sent >= enough, 30_000)
    await one.kill('SIGKILL')
    receiver.answer = undefined
    await sending
    await one.restart()
  }
  await pushed(service, 'push:http', 60_000)
  const all = Array.from({ length: 2 * COUNT }, (_, n) => n)
  for (const person of others) {
    const numbers = receiver.textsOf(person).map(Number)
    // What came twice apart, in the order in which each came first.
    expect([...new Set(numbers)]).toEqual(all)
  }
  expect(receiver.of(alice)).toEqual([])
}, 180_000)

it('are not sent by a node that was frozen, once another has taken over', async () => {
  const nodes = [await service.node(), await service.node()]
  const { one, others } = await pushing(nodes)
  const [alice, bob] = (await service.people(2, [others[0] as IsmNode])) as [Person, Person]
  const roomId = await alice.createRoom([bob], 'Tea')
  await pushed(service)
  receiver.received.length = 0
  for (let n = 0; n < 20; n++) await alice.send(roomId, `before ${n}`)
  one.signal('SIGSTOP')
  for (let n = 0; n < 20; n++) await alice.send(roomId, `after ${n}`)
  await eventually('the other has taken over', async () => receiver.of(bob).length >= 40, 30_000)
  one.signal('SIGCONT')
  for (let n = 0; n < 20; n++) await alice.send(roomId, `at last ${n}`)
  await pushed(service)
  const texts = receiver.textsOf(bob)
  const wanted = ['before', 'after', 'at last'].flatMap((word) => Array.from({ length: 20 }, (_, n) => `${word} ${n}`))
  expect([...new Set(texts)]).toEqual(wanted)
  expect(texts.slice(-20)).toEqual(wanted.slice(-20))
}, 90_000)
