/** The connection of a stream, as both of its kinds keep it: what is written arrives, and whoever ends it, that is told once. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Connection, takeConnection, takeHandle } from '../../src/streams/connection.ts'
import { HandleConnection } from '../../src/streams/handle-connection.ts'
import { SocketConnection } from '../../src/streams/socket-connection.ts'
import { eventually } from '../support/eventually.ts'

const KINDS = {
  handle: (handle: object) => {
    if (!HandleConnection.fits(handle)) throw new Error('Node has other handles')
    return new HandleConnection(handle)
  },
  socket: (handle: object) => new SocketConnection(handle),
}

/** More than the network takes from one who does not read. */
const MUCH = 32 * 1024 * 1024
const NUMBERED = Buffer.alloc(MUCH)
for (let at = 0; at < MUCH; at += 4) NUMBERED.writeUInt32LE(at, at)

let server: Server
let port: number
const clients: Socket[] = []

beforeAll(async () => {
  server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})
afterAll(() => server.close())

type Opened = { client: Socket; connection: Connection; closed: () => number }

async function open(kind: keyof typeof KINDS): Promise<Opened> {
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  clients.push(client)
  client.write('GET / HTTP/1.1\r\nHost: ism\r\n\r\n')
  const [, response] = await once(server, 'request')
  const connection = KINDS[kind](takeHandle(response))
  let closed = 0
  connection.owner = { connectionClosed: () => void closed++ }
  return { client, connection, closed: () => closed }
}

/** Resolves when the client has had so many bytes. */
async function received(client: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let had = 0
  for await (const chunk of client.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk)
    had += chunk.length
    if (had >= length) break
  }
  return Buffer.concat(chunks)
}

test('this Node has the handles that make a stream cheap', async () => {
  const client = connect(port, '127.0.0.1')
  clients.push(client)
  client.write('GET / HTTP/1.1\r\nHost: ism\r\n\r\n')
  const [, response] = await once(server, 'request')
  expect(takeConnection(response)).toBeInstanceOf(HandleConnection)
})

describe.each(['handle', 'socket'] as const)('a connection by its %s', (kind) => {
  test('brings what is written, in order', async () => {
    const { client, connection } = await open(kind)
    for (const word of ['one ', 'two ', 'three']) connection.write(Buffer.from(word))
    expect(connection.unsent).toBe(0)
    expect((await received(client, 13)).toString()).toBe('one two three')
  })

  test('holds what a client does not read, tells when that is gone, and brings it whole', async () => {
    const { client, connection } = await open(kind)
    for (let at = 0; at < MUCH; at += MUCH / 8) connection.write(NUMBERED.subarray(at, at + MUCH / 8))
    expect(connection.unsent).toBeGreaterThan(MUCH / 4)
    const drained = connection.drained()
    connection.write(Buffer.from('later'))
    const all = await received(client, MUCH + 5)
    await drained
    await eventually('all to be sent', async () => connection.unsent === 0)
    expect(all.subarray(0, MUCH).equals(NUMBERED)).toBe(true)
    expect(all.subarray(MUCH).toString()).toBe('later')
  })

  test('ends after what was written, and is closed once its client has closed too', async () => {
    const { client, connection, closed } = await open(kind)
    connection.write(NUMBERED)
    connection.end()
    expect(connection.isOver).toBe(true)
    connection.write(Buffer.from('too late'))
    const ended = once(client, 'end')
    expect((await received(client, MUCH)).equals(NUMBERED)).toBe(true)
    client.resume()
    await ended
    expect(closed()).toBe(0)
    client.end()
    await eventually('the connection to close', async () => connection.isClosed)
    expect(closed()).toBe(1)
    expect(connection.isClosed).toBe(true)
  })

  test('is dropped with what is unsent, and told of once, later', async () => {
    const { client, connection, closed } = await open(kind)
    connection.write(NUMBERED)
    const drained = connection.drained()
    connection.destroy()
    connection.destroy()
    connection.end()
    connection.write(Buffer.from('too late'))
    expect([connection.isOver, connection.isClosed, closed()]).toEqual([true, false, 0])
    await drained
    await eventually('the connection to close', async () => connection.isClosed)
    expect(closed()).toBe(1)
    expect([connection.isClosed, connection.unsent]).toEqual([true, 0])
    await connection.drained()
    client.resume().on('end', () => client.end())
    await once(client, 'close')
  })

  test.each([
    ['closes its side', (client: Socket) => client.end()],
    ['goes away', (client: Socket) => client.destroy()],
    ['resets', (client: Socket) => client.resetAndDestroy()],
  ])('is closed where its client %s', async (_, leave) => {
    const { client, connection, closed } = await open(kind)
    connection.write(NUMBERED)
    const drained = connection.drained()
    leave(client)
    await drained
    await eventually('the connection to close', async () => connection.isClosed)
    expect(closed()).toBe(1)
    connection.write(Buffer.from('too late'))
    connection.end()
    connection.destroy()
    expect([connection.isOver, connection.isClosed, connection.unsent]).toEqual([true, true, 0])
  })

  test('takes no notice of what its client says', async () => {
    const { client, connection, closed } = await open(kind)
    await new Promise((written) => client.write('x'.repeat(1_000_000), written))
    connection.write(Buffer.from('still here'))
    expect((await received(client, 10)).toString()).toBe('still here')
    expect(closed()).toBe(0)
  })
})
