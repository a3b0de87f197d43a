/** Friendship and blocking: one state machine over the ordered pair of two people, as a pure table. */
import type { ErrorCode } from '../shared/app-error.ts'

/** As stored: the pair's person with the lower id is A. */
export type PairState = 'A_INVITED' | 'B_INVITED' | 'FRIEND' | 'A_BLOCKED' | 'B_BLOCKED' | 'ALL_BLOCKED'

export type Side = 'A' | 'B'

export type Action = 'add' | 'accept' | 'reject' | 'remove' | 'block' | 'unblock'

/** As one of the two sees it, and as the wire has it. */
export type RelationshipType =
  | 'FRIEND'
  | 'INVITE_SENT'
  | 'INVITE_RECEIVED'
  | 'CLIENT_BLOCKED'
  | 'CLIENT_GOT_BLOCKED'
  | null

/** As one of the two sees it, with the difference that the wire does not show. */
type View = NonNullable<RelationshipType> | 'NOTHING' | 'BOTH_BLOCKED'

/** A state to go to (possibly the same), or why not. */
type Outcome = View | 'MISSING' | 'INVALID' | 'FORBIDDEN'

const TABLE: Record<View, Record<Action, Outcome>> = {
  NOTHING: {
    add: 'INVITE_SENT',
    accept: 'MISSING',
    reject: 'MISSING',
    remove: 'MISSING',
    block: 'CLIENT_BLOCKED',
    unblock: 'MISSING',
  },
  INVITE_SENT: {
    add: 'INVITE_SENT',
    accept: 'INVALID',
    reject: 'INVALID',
    remove: 'INVALID',
    block: 'CLIENT_BLOCKED',
    unblock: 'INVALID',
  },
  INVITE_RECEIVED: {
    add: 'FRIEND',
    accept: 'FRIEND',
    reject: 'NOTHING',
    remove: 'INVALID',
    block: 'CLIENT_BLOCKED',
    unblock: 'INVALID',
  },
  FRIEND: {
    add: 'FRIEND',
    accept: 'INVALID',
    reject: 'INVALID',
    remove: 'NOTHING',
    block: 'CLIENT_BLOCKED',
    unblock: 'INVALID',
  },
  CLIENT_BLOCKED: {
    add: 'FORBIDDEN',
    accept: 'INVALID',
    reject: 'INVALID',
    remove: 'INVALID',
    block: 'CLIENT_BLOCKED',
    unblock: 'NOTHING',
  },
  CLIENT_GOT_BLOCKED: {
    add: 'FORBIDDEN',
    accept: 'INVALID',
    reject: 'INVALID',
    remove: 'INVALID',
    block: 'BOTH_BLOCKED',
    unblock: 'FORBIDDEN',
  },
  BOTH_BLOCKED: {
    add: 'FORBIDDEN',
    accept: 'INVALID',
    reject: 'INVALID',
    remove: 'INVALID',
    block: 'BOTH_BLOCKED',
    unblock: 'CLIENT_GOT_BLOCKED',
  },
}

const ERRORS = {
  MISSING: 'CONTENT_NOT_FOUND',
  INVALID: 'VALIDATION_ERROR',
  FORBIDDEN: 'INSUFFICIENT_PERMISSIONS',
} as const satisfies Record<string, ErrorCode>

export type Transition = { state: PairState | null } | { error: (typeof ERRORS)[keyof typeof ERRORS] }

/** What `action` of the person on `side` makes of the pair; null is no relationship. */
export function transition(state: PairState | null, action: Action, side: Side): Transition {
  const outcome = TABLE[viewOf(state, side)][action]
  if (outcome === 'MISSING' || outcome === 'INVALID' || outcome === 'FORBIDDEN') return { error: ERRORS[outcome] }
  return { state: stateOf(outcome, side) }
}

/** The pair as the wire shows it to one of the two; who blocked sees that, also where both did. */
export function relationshipType(state: string | null, viewerIsA: boolean): RelationshipType {
  const view = viewOf(state as PairState | null, viewerIsA ? 'A' : 'B')
  if (view === 'NOTHING') return null
  return view === 'BOTH_BLOCKED' ? 'CLIENT_BLOCKED' : view
}

function viewOf(state: PairState | null, side: Side): View {
  if (state === null) return 'NOTHING'
  if (state === 'FRIEND') return 'FRIEND'
  if (state === 'ALL_BLOCKED') return 'BOTH_BLOCKED'
  const mine = state.startsWith(side)
  if (state.endsWith('INVITED')) return mine ? 'INVITE_SENT' : 'INVITE_RECEIVED'
  return mine ? 'CLIENT_BLOCKED' : 'CLIENT_GOT_BLOCKED'
}

function stateOf(view: View, side: Side): PairState | null {
  const other = side === 'A' ? 'B' : 'A'
  switch (view) {
    case 'NOTHING':
      return null
    case 'FRIEND':
      return 'FRIEND'
    case 'BOTH_BLOCKED':
      return 'ALL_BLOCKED'
    case 'INVITE_SENT':
      return `${side}_INVITED`
    case 'INVITE_RECEIVED':
      return `${other}_INVITED`
    case 'CLIENT_BLOCKED':
      return `${side}_BLOCKED`
    case 'CLIENT_GOT_BLOCKED':
      return `${other}_BLOCKED`
  }
}
