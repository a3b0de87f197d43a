/** What the log never shows. */
import { expect, test } from 'vitest'
import { createLogger } from '../../src/observability/logger.ts'

test('tokens, passwords and message bodies are left out, wherever ISM logs them', () => {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => lines.push(line) })
  logger.info({ token: 'SECRET', authorization: 'Bearer SECRET', msgBody: { text: 'SECRET' } }, 'top')
  logger.info({ headers: { authorization: 'SECRET', cookie: 'SECRET' }, body: { msgBody: 'SECRET' } }, 'below')
  logger.info({ req: { headers: { authorization: 'SECRET' } }, config: { password: 'SECRET' } }, 'deeper')
  expect(lines).toHaveLength(3)
  expect(lines.join('')).not.toContain('SECRET')
  expect(lines.join('')).toContain('[redacted]')
})

test('of an error the line has what it says, not what a driver has hung on it', () => {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => lines.push(line) })
  const cause = new Error('ECONNRESET')
  const error = Object.assign(new Error('refused', { cause }), {
    code: '57P01',
    password: 'SECRET',
    client: { secretKey: 'SECRET', activeQuery: { values: ['SECRET'] } },
  })
  logger.error({ err: error }, 'error')
  logger.error({ err: 'no error at all' }, 'text')
  expect(lines.map((line) => JSON.parse(line).err)).toEqual([
    { type: 'Error', code: '57P01', message: 'refused: ECONNRESET', stack: expect.stringContaining('logger.test.ts') },
    { message: 'no error at all' },
  ])
  expect(lines.join('')).not.toContain('SECRET')
})

test('a level keeps lesser lines out', () => {
  const lines: string[] = []
  const logger = createLogger('warn', { write: (line) => lines.push(line) })
  logger.info('not shown')
  logger.warn('shown')
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['shown'])
})
