/** Embedded mode as a source of configuration. */

import { expect, onTestFinished, test } from 'vitest'
import { createTokenVerifier } from '../../src/auth/token-verifier.ts'
import { type EmbeddedOptions, startEmbedded } from '../../src/embedded/start.ts'
import { preparedDirectories, query, temporaryDirectory } from './owner.ts'

const preparedDirectory = preparedDirectories()

async function start(dataDirectory: string, options: Partial<EmbeddedOptions> = {}) {
  const embedded = await startEmbedded({ dataDirectory, env: {}, progress: () => undefined, ...options })
  onTestFinished(() => embedded.stop())
  return embedded
}

test('it hands out a configuration that works, and the same people after a restart', async () => {
  const dataDirectory = await temporaryDirectory()
  const first = await start(dataDirectory, { port: 5999, env: { ISM_LOG_LEVEL: 'warn', ISM_PORT: '7000' } })
  expect(first.config).toMatchObject({
    server: { host: '127.0.0.1', port: 5999, logLevel: 'warn' },
    postgres: { database: 'ism' },
    objects: { directory: `${dataDirectory}/objects`, publicUrl: 'http://127.0.0.1:5999/objects' },
    metrics: { token: 'development' },
  })
  expect(first.people.map(({ name }) => name)).toEqual(['alice', 'bob', 'carol'])
  await expect(start(dataDirectory)).rejects.toThrow(new RegExp(`Process ${process.pid} already runs ISM`))
  await first.stop()
  await first.stop()

  const second = await start(dataDirectory, { env: { ISM_PORT: '7000' } })
  expect(second.config.server.port).toBe(7000)
  expect(second.config.objects.publicUrl).toBe('http://127.0.0.1:7000/objects')
  const logger = { warn: () => undefined, info: () => undefined, debug: () => undefined }
  const verifier = createTokenVerifier(second.config.tokenIssuer, { logger })
  onTestFinished(() => verifier.close())
  for (const { id, token } of first.people) expect((await verifier.verify(token)).userId).toBe(id)
  expect(second.people.map(({ id }) => id)).toEqual(first.people.map(({ id }) => id))
  const databases = await query(second.config.postgres, `SELECT datname FROM pg_database WHERE datname = 'ism'`)
  expect(databases).toEqual([{ datname: 'ism' }])
})

test('what would point it at another database or the network is refused, and nothing keeps running', async () => {
  const dataDirectory = await preparedDirectory()
  const env = { ISM_USER_DB_CONFIG__DB_HOST: 'db.example.com', ISM_LIMITS__SEND_BURST: 'many' }
  const error = await start(dataDirectory, { env }).catch((thrown: Error) => thrown)
  expect(String(error)).toContain('user_db_config.db_host: is set by embedded mode')
  expect(String(error)).toContain('limits.send_burst')
  await expect(start(dataDirectory, { host: '0.0.0.0' })).rejects.toThrow(/loopback only/)
  // The lock is free and so is the database.
  await expect(start(dataDirectory)).resolves.toBeDefined()
})
