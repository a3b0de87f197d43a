/** Readiness: which stores decide, and how long each is waited for. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import Koa from 'koa'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import type { State } from '../../src/http/context.ts'
import { healthHandlers, type StoreCheck } from '../../src/http/health-handlers.ts'

const works = async () => {}
const fails = () => Promise.reject(new Error('it is down'))
/** Never answers; the clock is moved on from when it is asked. */
const hangs = (milliseconds: number) => async () => {
  setImmediate(() => vi.advanceTimersByTime(milliseconds))
  await new Promise<void>(() => {})
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }))
afterEach(() => void vi.useRealTimers())

async function readinessOf(stores: StoreCheck[]) {
  const metrics = { token: undefined, scrape: async () => '' }
  const router = new Router<State>().get('/health/ready', healthHandlers(stores, metrics).ready)
  const server = new Koa<State>().use(router.routes()).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health/ready`)
  return { status: response.status, body: await response.json() }
}

test('a required store decides', async () => {
  expect(await readinessOf([{ name: 'a', required: true, check: works }])).toMatchObject({
    status: 200,
    body: { ready: true, stores: [{ name: 'a', required: true, ok: true, milliseconds: expect.any(Number) }] },
  })
  expect(await readinessOf([{ name: 'a', required: true, check: fails }])).toMatchObject({
    status: 503,
    body: { ready: false, stores: [{ name: 'a', required: true, ok: false }] },
  })
})

test('another one is only told of, and holds the answer up for less than a probe waits', async () => {
  const required = { name: 'a', required: true, check: works }
  for (const check of [fails, hangs(999)])
    expect(await readinessOf([required, { name: 'b', required: false, check }])).toMatchObject({
      status: 200,
      body: {
        ready: true,
        stores: [
          { name: 'a', required: true, ok: true },
          { name: 'b', required: false, ok: false },
        ],
      },
    })
})

test('a required one that hangs is given up', async () => {
  expect(await readinessOf([{ name: 'a', required: true, check: hangs(3_999) }])).toMatchObject({ status: 503 })
})
