/** Which cursors the log can continue, and what a client is told otherwise. */
import { describe, expect, it } from 'vitest'
import { encodeCursor } from '../../src/log/cursor.ts'
import { resume } from '../../src/log/resume.ts'

const STATE = { epoch: 'abc', trimmedSeq: 100, trimmedAt: new Date(0), headSeq: 200 }
const at = (seq: number, epoch = 'abc') => resume(encodeCursor({ epoch, seq }), STATE)

describe('a cursor', () => {
  it.each([100, 101, 150, 200])('at %d is continued', (seq) => expect(at(seq)).toEqual({ after: seq }))

  it.each([0, 99])('at %d is too old', (seq) => expect(at(seq)).toEqual({ resync: 'TOO_OLD' }))

  it.each([201, 9_999])('at %d lies beyond this log', (seq) => expect(at(seq)).toEqual({ resync: 'AHEAD_OF_LOG' }))

  it.each([0, 150, 9_999])('of another log at %d is of another log', (seq) =>
    expect(at(seq, 'abd')).toEqual({ resync: 'OTHER_LOG' }),
  )

  it.each(['x', '', '-1', Buffer.from('abc').toString('base64url')])('%j is none', (text) =>
    expect(resume(text, STATE)).toEqual({ resync: 'UNKNOWN_CURSOR' }),
  )
})

it('the first moment of an empty log can be continued', () => {
  expect(resume(encodeCursor({ epoch: 'abc', seq: 0 }), { ...STATE, trimmedSeq: 0, headSeq: 0 })).toEqual({ after: 0 })
})
