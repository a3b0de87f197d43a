/** Sends over HTTP at 1, 16, 64 and 256 concurrent senders: sends a second, latency, and CPU of ISM and PostgreSQL. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { type BenchPerson, type EmbeddedIsm, startEmbeddedIsm } from '../support/embedded-ism.ts'
import { HttpConnection } from '../support/http-client.ts'
import { cpuSeconds } from '../support/processes.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    senders: { type: 'string', default: '1,16,64,256' },
    rooms: { type: 'string', default: '100' },
    members: { type: 'string', default: '10' },
    /** Minutes to hold a snapshot open while 64 senders send, against the same without. */
    snapshot: { type: 'string', default: '0' },
    /** A directory for a CPU profile of ISM. */
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

type Room = { id: string; members: BenchPerson[] }
type Result = {
  senders: number
  rate: number
  p50: number
  p99: number
  ismCpu: number
  postgresCpu: number
  loadCpu: number
}

const print = (text: string) => process.stdout.write(`${text}\n`)
const ism = await startEmbeddedIsm(values.profile ? ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] : [])
try {
  const rooms = await makeRooms(ism, Number(values.rooms), Number(values.members))
  await load(ism, rooms, 64, 3)
  const results: Result[] = []
  for (const senders of values.senders.split(',').map(Number))
    results.push(await load(ism, rooms, senders, Number(values.seconds)))
  report(results)
  if (Number(values.snapshot) > 0) await compareWithSnapshot(ism, rooms, Number(values.snapshot) * 60)
} finally {
  await ism.stop()
}

async function makeRooms({ port, people }: EmbeddedIsm, count: number, members: number): Promise<Room[]> {
  const everybody = await people(256)
  const connection = await HttpConnection.open(port)
  for (const person of everybody) await connection.request('GET', '/api/rooms', person.token)
  const rooms: Room[] = []
  for (let n = 0; n < count; n++) {
    const chosen = Array.from({ length: members }, (_, m) => everybody[(n * 7 + m) % everybody.length] as BenchPerson)
    const body = JSON.stringify({
      roomType: 'Group',
      roomName: `Room ${n}`,
      invitedUsers: chosen.map(({ id }) => id),
    })
    const creator = chosen[0] as BenchPerson
    const reply = await connection.request('POST', '/api/rooms/create-room', creator.token, body)
    if (reply.status !== 200) throw new Error(`create-room: ${reply.status} ${reply.body}`)
    rooms.push({ id: JSON.parse(reply.body).id, members: chosen })
  }
  connection.close()
  return rooms
}

async function load(
  { port, pid, postgresPid }: EmbeddedIsm,
  rooms: Room[],
  senders: number,
  seconds: number,
): Promise<Result> {
  const connections = await Promise.all(Array.from({ length: senders }, () => HttpConnection.open(port)))
  const latencies: number[] = []
  const before = { ism: cpuSeconds(pid), postgres: cpuSeconds(postgresPid), load: process.cpuUsage() }
  const started = performance.now()
  const end = started + seconds * 1_000
  await Promise.all(
    connections.map(async (connection, n) => {
      for (let turn = n; performance.now() < end; turn += senders) {
        const room = rooms[turn % rooms.length] as Room
        const sender = room.members[turn % room.members.length] as BenchPerson
        const body = `{"chatRoomId":"${room.id}","msgType":"Text","msgBody":{"text":"Message ${turn}: the quick brown fox jumps over the lazy dog."}}`
        const asked = performance.now()
        const reply = await connection.request('POST', '/api/send-msg', sender.token, body)
        if (reply.status !== 200) throw new Error(`send-msg: ${reply.status} ${reply.body}`)
        latencies.push(performance.now() - asked)
      }
    }),
  )
  const elapsed = (performance.now() - started) / 1_000
  const loadCpu = process.cpuUsage(before.load)
  for (const connection of connections) connection.close()
  latencies.sort((a, b) => a - b)
  const at = (quantile: number) => latencies[Math.floor(latencies.length * quantile)] ?? Number.NaN
  const perSend = (cpu: number) => (cpu / latencies.length) * 1e6
  return {
    senders,
    rate: latencies.length / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    ismCpu: perSend(cpuSeconds(pid) - before.ism),
    postgresCpu: perSend(cpuSeconds(postgresPid) - before.postgres),
    loadCpu: perSend((loadCpu.user + loadCpu.system) / 1e6),
  }
}

/** Alternates both for `seconds` each side, so that a drift of the machine hits both. */
async function compareWithSnapshot(target: EmbeddedIsm, rooms: Room[], seconds: number): Promise<void> {
  const without = await load(target, rooms, 64, 20)
  const holder = await target.connect()
  await holder.query('begin isolation level repeatable read')
  await holder.query('select count(*) from event')
  const rates: number[] = []
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; )
    rates.push((await load(target, rooms, 64, 20)).rate)
  await holder.query('commit')
  await holder.end()
  const last = rates.at(-1) ?? 0
  print(
    `64 senders: ${without.rate.toFixed(0)}/s without a snapshot; held open ${seconds} s: ` +
      `${rates.map((rate) => rate.toFixed(0)).join(' ')}/s; the last is ${((last / without.rate) * 100).toFixed(0)} %`,
  )
}

function report(results: Result[]): void {
  if (values.json) {
    print(JSON.stringify(results))
    return
  }
  const table = new Table({
    head: ['senders', 'sends/s', 'p50 ms', 'p99 ms', 'ISM µs/send', 'PostgreSQL µs/send', 'load µs/send'],
    style: { head: [], border: [] },
  })
  for (const { senders, rate, p50, p99, ismCpu, postgresCpu, loadCpu } of results)
    table.push(
      [senders, rate, p50, p99, ismCpu, postgresCpu, loadCpu].map((n, i) => n.toFixed(i === 2 || i === 3 ? 1 : 0)),
    )
  print(table.toString())
}
