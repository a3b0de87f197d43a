/** What every way of waking nodes promises: it tells at once, says whether it works, and comes back by itself. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { WakeUpHandlers, WakeUps } from '../../src/log/wake-ups.ts'
import { eventually } from '../support/eventually.ts'

export type WakeUpServer = {
  /** A node's wake-ups, over a way that can be cut. */
  open(handlers: WakeUpHandlers): WakeUps
  /** Another service's, on the same server. */
  openElsewhere(handlers: WakeUpHandlers): WakeUps
  /** What a node does that has appended; resolves when it is said. */
  append(seq: number): Promise<void>
  /** Nothing listens any more. */
  cut(): Promise<void>
  mend(): Promise<void>
  close(): Promise<void>
}

/** One node: what it was told. */
class Listener implements WakeUpHandlers {
  readonly seqs: number[] = []
  connections = 0
  failures = 0
  wakeUps: WakeUps | undefined

  woken(seq: number): void {
    this.seqs.push(seq)
  }

  connected(): void {
    this.connections++
  }

  failed(): void {
    this.failures++
  }

  until(what: string, test: (listener: this) => boolean): Promise<void> {
    return eventually(what, async () => test(this))
  }
}

export function describeWakeUps(name: string, start: () => Promise<WakeUpServer>): void {
  describe(`wake-ups over ${name}`, () => {
    let server: WakeUpServer
    const opened: Listener[] = []
    beforeAll(async () => {
      server = await start()
    })
    afterEach(() => Promise.all(opened.splice(0).map(({ wakeUps }) => wakeUps?.close())))
    afterAll(() => server.close())

    async function listener(open = server.open): Promise<Listener> {
      const node = new Listener()
      opened.push(node)
      node.wakeUps = open(node)
      await node.until('it to connect', ({ connections }) => connections === 1)
      expect(node.wakeUps.connected).toBe(true)
      return node
    }

    test('every node hears the newest seq, in order', async () => {
      const nodes = await Promise.all([listener(), listener()])
      for (const seq of [7, 8, 9]) await server.append(seq)
      for (const node of nodes) {
        await node.until('the newest', ({ seqs }) => seqs.includes(9))
        expect(node.seqs).toEqual([...node.seqs].sort((one, other) => one - other))
        expect(node.failures).toBe(0)
      }
    })

    test('another service on the same server hears nothing of it', async () => {
      const [here, elsewhere] = await Promise.all([listener(), listener(server.openElsewhere)])
      await server.append(21)
      await here.until('it', ({ seqs }) => seqs.includes(21))
      expect(elsewhere.seqs).toEqual([])
    })

    test('one that is cut off knows it, and hears again once it can', async () => {
      const node = await listener()
      await server.cut()
      try {
        await node.until('to notice', ({ wakeUps }) => wakeUps?.connected === false)
        expect(node.failures).toBeGreaterThan(0)
        // To whom it is said matters to nobody: what is lost is lost.
        node.wakeUps?.publish(31)
      } finally {
        await server.mend()
      }
      await node.until('to be back', ({ connections }) => connections === 2)
      expect(node.wakeUps?.connected).toBe(true)
      await server.append(32)
      await node.until('the next', ({ seqs }) => seqs.includes(32))
    })

    test('one that begins while the server is away hears once it is there', async () => {
      await server.cut()
      const node = new Listener()
      opened.push(node)
      try {
        node.wakeUps = server.open(node)
        await node.until('a failure', ({ failures }) => failures > 0)
        expect(node.wakeUps.connected).toBe(false)
      } finally {
        await server.mend()
      }
      await node.until('to connect', ({ connections }) => connections === 1)
      await server.append(41)
      await node.until('the next', ({ seqs }) => seqs.includes(41))
    })

    test('one that is closed hears nothing, and is not told that it is cut off', async () => {
      const [closed, other] = await Promise.all([listener(), listener()])
      await closed.wakeUps?.close()
      await server.append(51)
      await other.until('it', ({ seqs }) => seqs.includes(51))
      expect(closed.seqs).toEqual([])
      expect(closed.failures).toBe(0)
      expect(closed.wakeUps?.connected).toBe(false)
    })
  })
}
