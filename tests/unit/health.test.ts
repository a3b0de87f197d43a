/** Readiness: which stores decide, and how long each is waited for. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import Koa from 'koa'
import { expect, onTestFinished, test } from 'vitest'
import type { State } from '../../src/http/context.ts'
import { healthHandlers, type StoreCheck } from '../../src/http/health-handlers.ts'

const works = async () => {}
const fails = () => Promise.reject(new Error('it is down'))
const hangs = () => new Promise<void>(() => {})

async function readinessOf(stores: StoreCheck[]) {
  const metrics = { token: undefined, scrape: async () => '' }
  const router = new Router<State>().get('/health/ready', healthHandlers(stores, metrics).ready)
  const server = new Koa<State>().use(router.routes()).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const started = performance.now()
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health/ready`)
  const milliseconds = performance.now() - started
  return { status: response.status, body: await response.json(), milliseconds }
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
  for (const check of [fails, hangs]) {
    const { status, body, milliseconds } = await readinessOf([required, { name: 'b', required: false, check }])
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        ready: true,
        stores: [
          { name: 'a', required: true, ok: true },
          { name: 'b', required: false, ok: false },
        ],
      },
    })
    expect(milliseconds).toBeLessThan(1_000)
  }
})

test('a required one that hangs is given up', async () => {
  const { status, milliseconds } = await readinessOf([{ name: 'a', required: true, check: hangs }])
  expect(status).toBe(503)
  expect(milliseconds).toBeLessThan(4_000)
})
