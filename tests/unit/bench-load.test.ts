/** Load at a rate that is too small for the time that it has. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { requestText } from '../../bench/support/http-client.ts'
import { openLoad } from '../../bench/support/load/load.ts'

test('a rate at which nothing is due fails, and does not wait for ever', async () => {
  const server = createServer((_request, response) => response.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  // The generator is TypeScript.
  const before = [...process.execArgv]
  process.execArgv.push('--import', import.meta.resolve('tsx'))
  onTestFinished(() => void process.execArgv.splice(0, Number.POSITIVE_INFINITY, ...before))
  const load = await openLoad((server.address() as AddressInfo).port, 1)
  onTestFinished(() => load.stop())
  const requests = [requestText('GET', '/', '')]
  await expect(load.run({ requests, seconds: 0.5, rate: 1 })).rejects.toThrow('no request')
  expect((await load.run({ requests, seconds: 0.2, rate: 10 })).asked).toHaveLength(2)
})
