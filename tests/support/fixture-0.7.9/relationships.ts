/** The relationships of the fixture: every state from either side, in order, reversed, and stored both ways round. */
import type { LegacyPerson } from './people.ts'
import { at, DAY, type Micros } from './time.ts'

export type LegacyRelationship = { userA: string; userB: string; state: string; changedAt: Micros }

/** What the first of two people did, or what the two are. */
type Tie = 'friends' | 'invited' | 'blocked' | 'both blocked'

const SINCE = at('2025-03-01T10:00:00Z') + 654_321

/** [one, tie, other]; ISM 0.7.9 itself writes the lower id first. */
const IN_ORDER: [string, Tie, string][] = [
  ['Alice', 'friends', 'Bob'],
  ['Alice', 'invited', 'Carol'],
  ['Dave', 'invited', 'Alice'],
  ['Alice', 'blocked', 'Eve'],
  ['Frank', 'blocked', 'Alice'],
  ['Alice', 'both blocked', 'Grace'],
  ['Alice', 'friends', 'Deleted'],
  ['Deleted', 'invited', 'Sybil'],
  ['Bob', 'friends', 'Carol'],
  ['Bob', 'friends', 'Accented'],
  ['Chinese', 'invited', 'Bob'],
  ['Emoji', 'blocked', 'Long'],
  ['Walter', 'friends', 'Sybil'],
]

const REVERSED: [string, Tie, string][] = [
  ['Bob', 'friends', 'Heidi'],
  ['Bob', 'invited', 'Ivan'],
  ['Judy', 'invited', 'Bob'],
  ['Bob', 'blocked', 'Mallory'],
  ['Niaj', 'blocked', 'Bob'],
  ['Bob', 'both blocked', 'Olivia'],
]

/** The later one of the two rows counts, whichever way round it is. */
const BOTH_WAYS: {
  lowerFirst: [string, Tie, string]
  higherFirst: [string, Tie, string]
  later: 'lower' | 'higher'
}[] = [
  { lowerFirst: ['Carol', 'invited', 'Peggy'], higherFirst: ['Carol', 'friends', 'Peggy'], later: 'higher' },
  { lowerFirst: ['Carol', 'blocked', 'Rupert'], higherFirst: ['Carol', 'friends', 'Rupert'], later: 'lower' },
  { lowerFirst: ['Carol', 'friends', 'Trent'], higherFirst: ['Trent', 'blocked', 'Carol'], later: 'higher' },
]

/** Also counts the friends of each. */
export function createRelationships(people: LegacyPerson[]): LegacyRelationship[] {
  const person = (label: string) => people.find((each) => each.label === label) as LegacyPerson
  const relate = ([one, tie, other]: [string, Tie, string], first: 'lower' | 'higher', changedAt: Micros) => {
    const [a, b] = [person(one), person(other)]
    const isOneFirst = a.id < b.id === (first === 'lower')
    const [userA, userB] = isOneFirst ? [a, b] : [b, a]
    const side = isOneFirst ? 'A' : 'B'
    const states = {
      friends: 'FRIEND',
      invited: `${side}_INVITED`,
      blocked: `${side}_BLOCKED`,
      'both blocked': 'ALL_BLOCKED',
    }
    return { userA: userA.id, userB: userB.id, state: states[tie], changedAt }
  }
  const befriend = ([one, tie, other]: [string, Tie, string]) => {
    if (tie === 'friends') for (const label of [one, other]) person(label).friendsCount += 1
  }
  for (const each of [...IN_ORDER, ...REVERSED]) befriend(each)
  for (const { lowerFirst, higherFirst, later } of BOTH_WAYS) befriend(later === 'lower' ? lowerFirst : higherFirst)
  return [
    ...IN_ORDER.map((each, n) => relate(each, 'lower', SINCE + n * DAY)),
    ...REVERSED.map((each, n) => relate(each, 'higher', SINCE + n * DAY)),
    ...BOTH_WAYS.flatMap(({ lowerFirst, higherFirst, later }) => [
      relate(lowerFirst, 'lower', later === 'lower' ? SINCE + DAY : SINCE),
      relate(higherFirst, 'higher', later === 'higher' ? SINCE + DAY : SINCE),
    ]),
  ]
}
