/** A connection that PostgreSQL ends at the worst of moments costs a statement, not the process. */

import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'

let server: Server | undefined
afterEach(() => {
  server?.close()
})

/** A message of PostgreSQL's protocol (documentation, section 54.7). */
function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5, type)
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}

const AUTHENTICATION_OK = message('R', Buffer.alloc(4))
const READY_FOR_QUERY = message('Z', Buffer.from('I'))
const SHUTTING_DOWN = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0'))

test('shut down in the same breath as it has let a client in', async () => {
  // What is written at once arrives at once, and is read in one turn.
  const greeting = Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY, SHUTTING_DOWN])
  server = createServer((socket) => socket.once('data', () => socket.end(greeting)).on('error', () => {}))
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const db = databaseAt(server, [])
  const work = db.withConnection((connection) => connection.execute('select 1'))
  await expect(work).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  await expect(db.query('test.one', 'select 1')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  await db.close()
})

test('shut down while it is closed: no connection has failed', async () => {
  const failures: Error[] = []
  const connections: Promise<unknown>[] = []
  server = createServer((socket) => {
    connections.push(new Promise((resolve) => socket.once('close', resolve)))
    socket.once('data', () => {
      socket.write(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY]))
      // What it says next is that it goes.
      socket.once('data', () => socket.end(SHUTTING_DOWN))
    })
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const db = databaseAt(server, failures)
  await db.withConnection(async () => {})
  await db.close()
  await Promise.all(connections)
  await new Promise((resolve) => setImmediate(resolve))
  expect(failures).toEqual([])
})

function databaseAt(at: Server, failures: Error[]) {
  const { port } = at.address() as AddressInfo
  return openDatabase(
    {
      host: '127.0.0.1',
      port,
      user: 'ism',
      password: '',
      database: 'ism',
      ssl: 'off',
      sslCa: undefined,
      poolSize: 1,
      transactionPooler: false,
    },
    { queryStarted() {}, connectionFailed: (error) => failures.push(error) },
  )
}
