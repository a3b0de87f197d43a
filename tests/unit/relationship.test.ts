/** Every state × action × side of the relationship table, against the contract's own table, and what holds for all of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Action,
  type PairState,
  relationshipType,
  type Side,
  transition,
} from '../../src/relationships/relationship.ts'

type State = PairState | null

const ACTIONS: Action[] = ['add', 'accept', 'reject', 'remove', 'block', 'unblock']
const SIDES: Side[] = ['A', 'B']

/** By state: what each action of A leads to, in the order of ACTIONS; a number is a refusal. */
const BY_A: [State, (State | 400 | 403 | 404)[]][] = [
  [null, ['A_INVITED', 404, 404, 404, 'A_BLOCKED', 404]],
  ['A_INVITED', ['A_INVITED', 400, 400, 400, 'A_BLOCKED', 400]],
  ['B_INVITED', ['FRIEND', 'FRIEND', null, 400, 'A_BLOCKED', 400]],
  ['FRIEND', ['FRIEND', 400, 400, null, 'A_BLOCKED', 400]],
  ['A_BLOCKED', [403, 400, 400, 400, 'A_BLOCKED', null]],
  ['B_BLOCKED', [403, 400, 400, 400, 'ALL_BLOCKED', 403]],
  ['ALL_BLOCKED', [403, 400, 400, 400, 'ALL_BLOCKED', 'B_BLOCKED']],
]

/** The same for B, written out rather than derived. */
const BY_B: [State, (State | 400 | 403 | 404)[]][] = [
  [null, ['B_INVITED', 404, 404, 404, 'B_BLOCKED', 404]],
  ['B_INVITED', ['B_INVITED', 400, 400, 400, 'B_BLOCKED', 400]],
  ['A_INVITED', ['FRIEND', 'FRIEND', null, 400, 'B_BLOCKED', 400]],
  ['FRIEND', ['FRIEND', 400, 400, null, 'B_BLOCKED', 400]],
  ['B_BLOCKED', [403, 400, 400, 400, 'B_BLOCKED', null]],
  ['A_BLOCKED', [403, 400, 400, 400, 'ALL_BLOCKED', 403]],
  ['ALL_BLOCKED', [403, 400, 400, 400, 'ALL_BLOCKED', 'A_BLOCKED']],
]

const STATUS = { CONTENT_NOT_FOUND: 404, VALIDATION_ERROR: 400, INSUFFICIENT_PERMISSIONS: 403 } as const

function outcome(state: State, action: Action, side: Side): State | number {
  const result = transition(state, action, side)
  return 'error' in result ? STATUS[result.error] : result.state
}

describe.each([
  ['A', BY_A],
  ['B', BY_B],
] as const)('%s', (side, table) => {
  const cells = table.flatMap(([state, row]) => ACTIONS.map((action, i) => [state, action, row[i] ?? null] as const))
  it.each(cells)('in %s: %s → %s', (state, action, expected) => expect(outcome(state, action, side)).toBe(expected))
})

describe('what each of the two sees', () => {
  it.each([
    [null, null, null],
    ['A_INVITED', 'INVITE_SENT', 'INVITE_RECEIVED'],
    ['B_INVITED', 'INVITE_RECEIVED', 'INVITE_SENT'],
    ['FRIEND', 'FRIEND', 'FRIEND'],
    ['A_BLOCKED', 'CLIENT_BLOCKED', 'CLIENT_GOT_BLOCKED'],
    ['B_BLOCKED', 'CLIENT_GOT_BLOCKED', 'CLIENT_BLOCKED'],
    ['ALL_BLOCKED', 'CLIENT_BLOCKED', 'CLIENT_BLOCKED'],
  ])('%s: A %s, B %s', (state, a, b) => {
    expect(relationshipType(state, true)).toBe(a)
    expect(relationshipType(state, false)).toBe(b)
  })
})

describe('whatever the two do', () => {
  const side = fc.constantFrom(...SIDES)
  const step = fc.record({ action: fc.constantFrom(...ACTIONS), side })
  const steps = fc.array(step, { maxLength: 30 })

  const stepped = (state: State, action: Action, by: Side): State => {
    const result = transition(state, action, by)
    return 'error' in result ? state : result.state
  }
  const run = (history: { action: Action; side: Side }[]): State =>
    history.reduce<State>((state, { action, side }) => stepped(state, action, side), null)
  const blockedBy = (state: State, by: Side) => state === 'ALL_BLOCKED' || state === `${by}_BLOCKED`

  it('a block always wins, and what the other does cannot lift it', () => {
    fc.assert(
      fc.property(steps, side, steps, (before, by, later) => {
        const blocked = stepped(run(before), 'block', by)
        expect(blockedBy(blocked, by)).toBe(true)
        const others = later.filter((step) => step.side !== by)
        const end = others.reduce<State>((state, { action, side }) => stepped(state, action, side), blocked)
        expect(blockedBy(end, by)).toBe(true)
      }),
    )
  })

  it('each undoes only their own block', () => {
    fc.assert(
      fc.property(steps, step, (before, { action, side }) => {
        const other = side === 'A' ? 'B' : 'A'
        const start = run(before)
        expect(blockedBy(stepped(start, action, side), other)).toBe(blockedBy(start, other))
      }),
    )
  })

  it('nobody is a friend without both having wanted it', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ACTIONS)), side, (actions, side) => {
        expect(run(actions.map((action) => ({ action, side })))).not.toBe('FRIEND')
      }),
    )
  })

  it('it is the same with the two changing places', () => {
    const swapSide = (one: Side): Side => (one === 'A' ? 'B' : 'A')
    const swap = (state: State): State =>
      state === null ? null : (state.replace(/^[AB]_/, (prefix) => `${swapSide(prefix[0] as Side)}_`) as PairState)
    fc.assert(
      fc.property(steps, (history) => {
        const mirrored = history.map(({ action, side }) => ({ action, side: swapSide(side) }))
        expect(run(mirrored)).toBe(swap(run(history)))
      }),
    )
  })
})
