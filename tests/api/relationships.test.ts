/** Friendship and blocking through the API: every cell of the table from both sides, and what follows from each. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventStream, WireEvent } from '../support/event-stream.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal, type Refusal } from '../support/refusal.ts'

let ism: TestIsm
/** Has nothing to do with anybody here. */
let outsider: EventStream

beforeAll(async () => {
  ism = await startIsm()
  const [nobody] = await ism.people('nobody')
  outsider = await nobody.stream()
})
afterAll(async () => {
  expect(outsider.events).toEqual([])
  await ism.stop()
})

const ACTIONS = {
  add: (me, other) => me.post(`/api/users/friends/add/${other}`),
  accept: (me, other) => me.post(`/api/users/friends/accept-request/${other}`),
  reject: (me, other) => me.delete(`/api/users/friends/reject-request/${other}`),
  remove: (me, other) => me.delete(`/api/users/friends/${other}`),
  block: (me, other) => me.post(`/api/users/ignore/${other}`),
  unblock: (me, other) => me.delete(`/api/users/ignore/${other}`),
} satisfies Record<string, (me: Person, other: string) => Promise<Answer>>
type Action = keyof typeof ACTIONS
const NAMES = Object.keys(ACTIONS) as Action[]

/** How the two get there, who does each step, and what each then sees. */
const STATES = {
  nothing: { steps: [], sees: [null, null] },
  'invited by me': { steps: [['me', 'add']], sees: ['INVITE_SENT', 'INVITE_RECEIVED'] },
  'invited by them': { steps: [['them', 'add']], sees: ['INVITE_RECEIVED', 'INVITE_SENT'] },
  friends: {
    steps: [
      ['them', 'add'],
      ['me', 'accept'],
    ],
    sees: ['FRIEND', 'FRIEND'],
  },
  'blocked by me': { steps: [['me', 'block']], sees: ['CLIENT_BLOCKED', 'CLIENT_GOT_BLOCKED'] },
  'blocked by them': { steps: [['them', 'block']], sees: ['CLIENT_GOT_BLOCKED', 'CLIENT_BLOCKED'] },
  'blocked by both': {
    steps: [
      ['them', 'block'],
      ['me', 'block'],
    ],
    sees: ['CLIENT_BLOCKED', 'CLIENT_BLOCKED'],
  },
} satisfies Record<string, { steps: ['me' | 'them', Action][]; sees: [string | null, string | null] }>
type State = keyof typeof STATES

const MISSING: Refusal = 'CONTENT_NOT_FOUND'
const INVALID: Refusal = 'VALIDATION_ERROR'
const FORBIDDEN: Refusal = 'INSUFFICIENT_PERMISSIONS'

/** What each action of mine leads to, in the order of ACTIONS. */
const TABLE: [State, (State | Refusal)[]][] = [
  ['nothing', ['invited by me', MISSING, MISSING, MISSING, 'blocked by me', MISSING]],
  ['invited by me', ['invited by me', INVALID, INVALID, INVALID, 'blocked by me', INVALID]],
  ['invited by them', ['friends', 'friends', 'nothing', INVALID, 'blocked by me', INVALID]],
  ['friends', ['friends', INVALID, INVALID, 'nothing', 'blocked by me', INVALID]],
  ['blocked by me', [FORBIDDEN, INVALID, INVALID, INVALID, 'blocked by me', 'nothing']],
  ['blocked by them', [FORBIDDEN, INVALID, INVALID, INVALID, 'blocked by both', FORBIDDEN]],
  ['blocked by both', [FORBIDDEN, INVALID, INVALID, INVALID, 'blocked by both', 'blocked by them']],
]
const EVENTS: Record<string, string> = {
  'nothing add': 'FriendRequestReceived',
  'invited by them add': 'FriendRequestAccepted',
  'invited by them accept': 'FriendRequestAccepted',
}

const relationshipOf = async (viewer: Person, other: Person) =>
  (await viewer.get(`/api/users/${other.id}`)).body.relationshipType
const profileOf = async (person: Person) => (await person.get(`/api/users/${person.id}`)).body.user
const cursorOf = async (person: Person): Promise<string> =>
  (await person.get('/api/notifications/cursor')).body.lastEventId
const eventsSince = async (person: Person, cursor: string): Promise<WireEvent[]> =>
  (await person.get(`/api/notifications?lastEventId=${cursor}`)).body

async function act(me: Person, action: Action, them: Person): Promise<void> {
  const { status, body } = await ACTIONS[action](me, them.id)
  expect({ action, status, body }).toMatchObject({ action, status: 200 })
}

let pairs = 0
async function pairIn(state: State, mine: 'lower' | 'higher' = 'lower'): Promise<[me: Person, them: Person]> {
  const people = await ism.people(`pair ${++pairs} one`, `pair ${pairs} other`)
  const [lower, higher] = people.sort((a, b) => (a.id < b.id ? -1 : 1)) as [Person, Person]
  const [me, them] = mine === 'lower' ? [lower, higher] : [higher, lower]
  for (const [who, action] of STATES[state].steps) await act(who === 'me' ? me : them, action, who === 'me' ? them : me)
  return [me, them]
}

async function expectState(me: Person, them: Person, state: State): Promise<void> {
  expect([await relationshipOf(me, them), await relationshipOf(them, me)]).toEqual(STATES[state].sees)
  const friends = state === 'friends' ? 1 : 0
  expect([(await profileOf(me)).friendsCount, (await profileOf(them)).friendsCount]).toEqual([friends, friends])
}

describe.each(TABLE)('where the two are: %s', (state, row) => {
  const cells = NAMES.flatMap((action, i) =>
    (['lower', 'higher'] as const).map((mine) => [action, row[i] as State | Refusal, mine] as const),
  )
  it.concurrent.each(cells)('%s → %s, with my id the %s', async (action, outcome, mine) => {
    const [me, them] = await pairIn(state, mine)
    await expectState(me, them, state)
    const [myCursor, theirCursor] = await Promise.all([cursorOf(me), cursorOf(them)])
    const answer = await ACTIONS[action](me, them.id)
    const reached = outcome in STATES ? (outcome as State) : undefined
    if (reached) {
      const shows = action === 'block' || action === 'unblock'
      expect([answer.status, answer.body]).toEqual([200, shows ? { state: STATES[reached].sees[0] } : ''])
    } else {
      expectRefusal(answer, outcome as Refusal)
    }
    await expectState(me, them, reached ?? state)
    expect(await eventsSince(me, myCursor)).toEqual([])
    const type = EVENTS[`${state} ${action}`]
    const events = await eventsSince(them, theirCursor)
    expect(events).toEqual(type ? [expect.objectContaining({ type, fromUser: await profileOf(me) })] : [])
  })
})

describe('a friend request', () => {
  it('reaches every stream of the other, and its acceptance every stream of who asked', async () => {
    const [asks, accepts] = await ism.people('asks', 'accepts')
    const [asking, phone, laptop] = await Promise.all([asks.stream(), accepts.stream(), accepts.stream()])
    await act(asks, 'add', accepts)
    const received = await phone.next(({ type }) => type === 'FriendRequestReceived')
    expect(received['fromUser']).toEqual({
      id: asks.id,
      displayName: 'asks',
      streetCredits: 0,
      profilePicture: null,
      description: null,
      friendsCount: 0,
      role: 'USER',
    })
    expect(await laptop.next(({ type }) => type === 'FriendRequestReceived')).toEqual(received)
    await act(accepts, 'accept', asks)
    const accepted = await asking.next(({ type }) => type === 'FriendRequestAccepted')
    expect(accepted['fromUser']).toEqual(await profileOf(accepts))
    expect(accepted['fromUser']).toMatchObject({ id: accepts.id, friendsCount: 1 })
    expect([asking.events.length, phone.events.length, laptop.events.length]).toEqual([1, 1, 1])
  })

  it('of both at the same moment makes them friends, once', async () => {
    const [one, other] = await ism.people('eager one', 'eager other')
    const answers = await Promise.all([
      ACTIONS.add(one, other.id),
      ACTIONS.add(other, one.id),
      ACTIONS.add(one, other.id),
      ACTIONS.add(other, one.id),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await expectState(one, other, 'friends')
  })
})

describe('lists', () => {
  it('of friends and of requests are by display name, and hold nobody else', async () => {
    const [me, ...others] = await ism.people('lists', 'l-4', 'l-1', 'l-3', 'l-2', 'l-5', 'l-6')
    for (const friend of others.slice(0, 3)) {
      await act(friend, 'add', me)
      await act(me, 'accept', friend)
    }
    for (const asking of others.slice(3, 5)) await act(asking, 'add', me)
    await act(me, 'add', others[5] as Person)
    const friends = await me.get('/api/users/friends')
    expect(friends.status).toBe(200)
    expect(friends.body).toEqual(
      await Promise.all([others[1], others[2], others[0]].map((p) => profileOf(p as Person))),
    )
    const requests = await me.get('/api/users/friends/requests')
    expect(requests.status).toBe(200)
    expect(requests.body).toEqual(await Promise.all([others[3], others[4]].map((p) => profileOf(p as Person))))
    expect((await (others[5] as Person).get('/api/users/friends/requests')).body).toEqual([await profileOf(me)])
    expect((await (others[5] as Person).get('/api/users/friends')).body).toEqual([])
  })

  it('leave out who was deleted', async () => {
    const [me, friend, asking] = await ism.people('keeper', 'gone friend', 'gone asking')
    await act(friend, 'add', me)
    await act(me, 'accept', friend)
    await act(asking, 'add', me)
    await ism.sql.query('update app_user set deleted_at = now() where id = any ($1)', [[friend.id, asking.id]])
    expect((await me.get('/api/users/friends')).body).toEqual([])
    expect((await me.get('/api/users/friends/requests')).body).toEqual([])
  })
})

describe('blocking', () => {
  it('ends the private room, telling both, and leaves a group alone', async () => {
    const [me, them] = await ism.people('blocks', 'is blocked')
    const roomId = await me.createRoom([them])
    const groupId = await them.createRoom([me], 'a group of both')
    await them.send(roomId, 'hello?')
    const [mine, theirs] = await Promise.all([me.stream(), them.stream()])
    await act(me, 'block', them)
    for (const stream of [mine, theirs]) {
      const left = await stream.next(({ type }) => type === 'LeaveRoom')
      expect(left).toMatchObject({ roomId })
      expect(stream.ofType('LeaveRoom')).toEqual([left])
    }
    for (const person of [me, them]) {
      expectRefusal(await person.get(`/api/rooms/${roomId}`), 'CONTENT_NOT_FOUND')
      expectRefusal(await person.send(roomId, 'anybody there?'), 'CONTENT_NOT_FOUND')
      expect((await person.get('/api/rooms')).body).toEqual([expect.objectContaining({ id: groupId })])
      expect((await person.send(groupId, 'still here')).status).toBe(200)
    }
    expect((await me.get(`/api/rooms/search?withUser=${them.id}`)).body).toBe(null)
  })

  it.each(['me', 'them'] as const)('by %s keeps both from befriending, inviting and opening a room', async (who) => {
    const [me, them] = await pairIn(who === 'me' ? 'blocked by me' : 'blocked by them')
    for (const [one, other] of [
      [me, them],
      [them, me],
    ] as const) {
      const [third] = await ism.people(`third ${one.id}`)
      const groupId = await one.createRoom([third], 'without the other')
      expectRefusal(await one.post(`/api/rooms/${groupId}/invite/${other.id}`), 'INSUFFICIENT_PERMISSIONS')
      expectRefusal(await ACTIONS.add(one, other.id), 'INSUFFICIENT_PERMISSIONS')
      const single = { roomType: 'Single', invitedUsers: [one.id, other.id] }
      expectRefusal(await one.post('/api/rooms/create-room', single), 'VALIDATION_ERROR')
    }
  })

  it('is over when the one who blocked lifts it', async () => {
    const [me, them] = await pairIn('blocked by me')
    expectRefusal(await ACTIONS.unblock(them, me.id), 'INSUFFICIENT_PERMISSIONS')
    await act(me, 'unblock', them)
    await act(them, 'add', me)
    expect(await them.createRoom([me])).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('of a friend takes one off both counts, and off both lists', async () => {
    const [me, them] = await pairIn('friends')
    const [third] = await ism.people('another friend')
    await act(third, 'add', me)
    await act(me, 'accept', third)
    await act(them, 'block', me)
    expect([(await profileOf(me)).friendsCount, (await profileOf(them)).friendsCount]).toEqual([1, 0])
    expect((await me.get('/api/users/friends')).body).toEqual([await profileOf(third)])
    expect((await them.get('/api/users/friends')).body).toEqual([])
  })
})

describe.each(NAMES)('%s', (action) => {
  it.concurrent('of oneself, of nobody and of what is no id is refused', async () => {
    const [me, deleted] = await ism.people(`${action}s`, `deleted before ${action}`)
    const field = { accept: 'sender_id', reject: 'sender_id', remove: 'friend_id' }[action as string] ?? 'user_id'
    const oneself = `${field}: must be another user than yourself`
    expectRefusal(await ACTIONS[action](me, me.id), 'VALIDATION_ERROR', oneself)
    expectRefusal(await ACTIONS[action](me, me.id.toUpperCase()), 'VALIDATION_ERROR', oneself)
    expectRefusal(await ACTIONS[action](me, crypto.randomUUID()), 'CONTENT_NOT_FOUND', 'User not found.')
    expectRefusal(await ACTIONS[action](me, 'somebody'), 'VALIDATION_ERROR', `${field}: must be a UUID`)
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [deleted.id])
    expectRefusal(await ACTIONS[action](me, deleted.id), 'CONTENT_NOT_FOUND', 'User not found.')
  })
})

it('ids may have any case', async () => {
  const [me, them] = await ism.people('lower case', 'upper case')
  expect((await ACTIONS.add(me, them.id.toUpperCase())).status).toBe(200)
  expect((await ACTIONS.accept(them, me.id.toUpperCase())).status).toBe(200)
  await expectState(me, them, 'friends')
})
