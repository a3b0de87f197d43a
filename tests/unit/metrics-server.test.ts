import { expect, test } from 'vitest'
import { serveMetrics } from '../../src/observability/metrics-server.ts'
import { reservedPort } from '../support/node.ts'

test('metrics that cannot be read are a 500, and those that can are there the next time', async () => {
  const port = await reservedPort()
  const scrapes = [async () => Promise.reject(new Error('no answer')), async () => 'ism_tail_position 1\n']
  const server = await serveMetrics({ host: '127.0.0.1', port, token: undefined }, () => scrapes.shift()?.() ?? never())
  const get = () => fetch(`http://127.0.0.1:${port}/metrics`)
  expect((await get()).status).toBe(500)
  const answer = await get()
  expect([answer.status, await answer.text()]).toEqual([200, 'ism_tail_position 1\n'])
  await server?.close()
})

const never = () => new Promise<string>(() => {})
