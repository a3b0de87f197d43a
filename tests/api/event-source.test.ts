/** The stream as a standard EventSource sees it, which reconnects and resumes by itself. */
import { EventSource } from 'eventsource'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

let ism: TestIsm
/** Between ISM and its client. */
let proxy: TcpProxy
beforeAll(async () => {
  ism = await startIsm()
  proxy = await startTcpProxy({ host: '127.0.0.1', port: ism.app.address.port })
})
afterAll(async () => {
  await proxy.close()
  await ism.stop()
})

function openSource(person: Person): EventSource {
  return new EventSource(`${person.url}/api/sse`, {
    fetch: (url, init) =>
      fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${person.token}` } }),
  })
}

/** As a browser's own, which sends no headers but what it remembers. */
const openByTicket = async (person: Person) => new EventSource(`${person.url}/api/sse?ticket=${await person.ticket()}`)

test.each([
  ['with a token', openSource],
  ['with a ticket', openByTicket],
])('%s it hears messages only, and after a broken stream what it missed, once', async (_, open) => {
  const round = Math.random().toString(36).slice(2)
  const [alice, bob] = await ism.people(`alice ${round}`, `bob ${round}`)
  const roomId = await alice.createRoom([bob])
  const source = await open(bob.at(`http://127.0.0.1:${proxy.port}`))
  const heard: string[] = []
  source.onmessage = ({ data }) => void heard.push(JSON.parse(data).message.msgBody.text)
  const opened = new Promise((resolve) => source.addEventListener('cursor', resolve, { once: true }))
  const broken = new Promise((resolve) => source.addEventListener('error', resolve, { once: true }))
  try {
    await opened
    await alice.send(roomId, 'before')
    await vi.waitFor(() => expect(heard).toEqual(['before']), { timeout: 10_000 })
    // What is said before it is back waits in the log.
    await proxy.refuse()
    await broken
    await alice.send(roomId, 'meanwhile')
    await proxy.pass()
    await vi.waitFor(() => expect(heard).toEqual(['before', 'meanwhile']), { timeout: 10_000 })
    await alice.send(roomId, 'after')
    await vi.waitFor(() => expect(heard).toEqual(['before', 'meanwhile', 'after']), { timeout: 10_000 })
  } finally {
    source.close()
  }
})
