/** What the log never shows. */
import { expect, test } from 'vitest'
import { createLogger } from '../../src/observability/logger.ts'

test('tokens, passwords and message bodies are left out, wherever ISM logs them', () => {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => lines.push(line) })
  logger.info({ token: 'SECRET', authorization: 'Bearer SECRET', msgBody: { text: 'SECRET' } }, 'top')
  logger.info({ headers: { authorization: 'SECRET', cookie: 'SECRET' }, body: { msgBody: 'SECRET' } }, 'below')
  logger.info({ req: { headers: { authorization: 'SECRET' } }, config: { password: 'SECRET' } }, 'deeper')
  logger.error(
    { err: Object.assign(new Error('refused'), { password: 'SECRET', config: { password: 'SECRET' } }) },
    'error',
  )
  expect(lines).toHaveLength(4)
  expect(lines.join('')).not.toContain('SECRET')
  expect(lines.join('')).toContain('[redacted]')
})

test('a level keeps lesser lines out', () => {
  const lines: string[] = []
  const logger = createLogger('warn', { write: (line) => lines.push(line) })
  logger.info('not shown')
  logger.warn('shown')
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['shown'])
})
