/** How an error is put into one line. */
import { expect, test } from 'vitest'
import { oneLine } from '../../src/cli/error-report.ts'

test('the reason follows what failed, in one sentence', () => {
  const cause = new Error('connect ECONNREFUSED 127.0.0.1:5432')
  expect(oneLine(new Error('The database is not available.', { cause }))).toBe(
    'The database is not available: connect ECONNREFUSED 127.0.0.1:5432',
  )
  expect(oneLine(new Error('Nothing else is known.'))).toBe('Nothing else is known.')
  expect(oneLine(new Error('why: connect ECONNREFUSED 127.0.0.1:5432', { cause }))).toBe(
    'why: connect ECONNREFUSED 127.0.0.1:5432',
  )
})
