/** Profiles, and the search for people by name. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

let ism: TestIsm
let alice: Person
let bob: Person

beforeAll(async () => {
  ism = await startIsm()
  ;[alice, bob] = await ism.people('alice', 'bob')
})
afterAll(() => ism.stop())

/** Rows as an operator makes them. */
async function addUsers(names: string[], more: { deleted?: boolean } = {}): Promise<void> {
  await ism.sql.query(
    `insert into app_user (id, created_at, deleted_at, display_name, friends_count, street_credits, role)
    select gen_random_uuid(), now(), case when $2 then now() end, name, 0, 0, 'USER' from unnest($1::text[]) as name`,
    [names, more.deleted ?? false],
  )
}

describe('a profile', () => {
  const PROFILE = { streetCredits: 0, profilePicture: null, description: null, friendsCount: 0, role: 'USER' }

  it("is one's own, without a relationship", async () => {
    const { status, headers, body } = await alice.get(`/api/users/${alice.id}`)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^application\/json/)
    expect(body).toEqual({ user: { id: alice.id, displayName: 'alice', ...PROFILE }, relationshipType: null })
  })

  it("is another's, with the relationship to them", async () => {
    const [friend] = await ism.people('profile-friend')
    await friend.post(`/api/users/friends/add/${alice.id}`)
    expect((await alice.get(`/api/users/${bob.id.toUpperCase()}`)).body).toEqual({
      user: { id: bob.id, displayName: 'bob', ...PROFILE },
      relationshipType: null,
    })
    expect((await alice.get(`/api/users/${friend.id}`)).body.relationshipType).toBe('INVITE_RECEIVED')
  })

  it('shows what the operator filled in', async () => {
    const id = randomUUID()
    await ism.sql.query(
      `insert into app_user (id, created_at, description, display_name, friends_count, profile_picture, street_credits, role)
      values ($1, now(), 'About me', 'Filled in', 7, 'https://example.com/me.jpg', 9000000000, 'ADMIN')`,
      [id],
    )
    expect((await alice.get(`/api/users/${id}`)).body.user).toEqual({
      id,
      displayName: 'Filled in',
      streetCredits: 9_000_000_000,
      profilePicture: 'https://example.com/me.jpg',
      description: 'About me',
      friendsCount: 7,
      role: 'ADMIN',
    })
  })

  it('of nobody, or of somebody deleted, is not found; of what is no id is refused', async () => {
    const [deleted] = await ism.people('profile-deleted')
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [deleted.id])
    expectRefusal(await alice.get(`/api/users/${deleted.id}`), 'CONTENT_NOT_FOUND', 'User not found.')
    expectRefusal(await alice.get(`/api/users/${randomUUID()}`), 'CONTENT_NOT_FOUND', 'User not found.')
    expectRefusal(await alice.get('/api/users/alice'), 'VALIDATION_ERROR', 'user_id: must be a UUID')
  })
})

describe('the search', () => {
  const search = (username: string, cursor?: string, by = alice) =>
    by.get(`/api/users/search?${new URLSearchParams({ username, ...(cursor === undefined ? {} : { cursor }) })}`)
  // biome-ignore lint/suspicious/noExplicitAny: a body is judged by what a test expects of it
  const namesOf = (body: any): string[] => body.content.map((item: any) => item.user.displayName)
  const found = async (username: string) => namesOf((await search(username)).body)

  it('shows people as their profile does', async () => {
    const [one] = await ism.people('as-profile')
    await alice.post(`/api/users/ignore/${one.id}`)
    const { status, body } = await search('as-profile')
    expect(status).toBe(200)
    expect(body).toEqual({ nextCursor: null, content: [(await alice.get(`/api/users/${one.id}`)).body] })
    expect(body.content[0].relationshipType).toBe('CLIENT_BLOCKED')
    expect((await search('ALICE', undefined, one)).body.content[0].relationshipType).toBe('CLIENT_GOT_BLOCKED')
  })

  it('finds a name whose lower case depends on what is around it, or is longer, as written and in any case', async () => {
    await addUsers(['Γιώργος'])
    // As ISM 0.7.9 kept it: its lower case is that of the Unicode standard, an i and a dot above.
    await ism.sql.query(
      `insert into app_user (id, created_at, display_name, raw_name, friends_count, street_credits, role)
      values (gen_random_uuid(), now(), 'İbrahim', $1, 0, 0, 'USER')`,
      ['İbrahim'.toLowerCase()],
    )
    for (const text of ['Γιώργος', 'ΓΙΏΡΓΟΣ']) expect([text, await found(text)]).toEqual([text, ['Γιώργος']])
    for (const text of ['İbrahim', 'İBRAHIM']) expect([text, await found(text)]).toEqual([text, ['İbrahim']])
  })

  it('finds a part of a name in any case, and nobody where there is nobody', async () => {
    await addUsers(['Case Sensitive', 'cASE insensitive'])
    for (const text of ['case ', 'CASE ', 'cAsE ']) expect(await found(text)).toHaveLength(2)
    expect(await found('sensitive')).toHaveLength(2)
    expect(await found('insensitive')).toEqual(['cASE insensitive'])
    expect((await search('nobody of this name')).body).toEqual({ nextCursor: null, content: [] })
  })

  it('takes every character as it is', async () => {
    await addUsers(['plain 50%', 'plain 50_', 'plain 50\\', 'plain 500', "plain '--", 'plain [a]*?'])
    expect(await found('plain 50%')).toEqual(['plain 50%'])
    expect(await found('plain 50_')).toEqual(['plain 50_'])
    expect(await found('plain 50\\')).toEqual(['plain 50\\'])
    expect(await found("plain '")).toEqual(["plain '--"])
    expect(await found('plain [a]*?')).toEqual(['plain [a]*?'])
    expect(await found('plain %')).toEqual([])
    expect(await found('\\\\')).toEqual([])
  })

  it('finds names in any script', async () => {
    await addUsers(['Ünïcødé Øre', '山田太郎', '😀 smile', 'Ελένη'])
    expect(await found('ÜNÏCØDÉ')).toEqual(['Ünïcødé Øre'])
    expect(await found('ünïcødé')).toEqual(['Ünïcødé Øre'])
    expect(await found('田太')).toEqual(['山田太郎'])
    expect(await found('😀')).toEqual(['😀 smile'])
    expect(await found('ΕΛΈΝΗ')).toEqual(['Ελένη'])
  })

  it('leaves out oneself and who was deleted', async () => {
    await addUsers(['searcher deleted'], { deleted: true })
    const [searcher] = await ism.people('searcher')
    await ism.people('searcher too')
    expect(namesOf((await search('searcher', undefined, searcher)).body)).toEqual(['searcher too'])
  })

  it('pages by 20, by display name, each person once', async () => {
    const names = Array.from({ length: 45 }, (_, i) => `page ${String(i).padStart(2, '0')} “ø\\`)
    await addUsers([...names].sort(() => Math.random() - 0.5))
    const pages = [await search('page')]
    for (let cursor = pages[0]?.body.nextCursor; cursor !== null; cursor = pages.at(-1)?.body.nextCursor) {
      expect(cursor).toMatch(/^[\w-]+$/)
      await addUsers([`page 00 newcomer ${pages.length}`])
      pages.push(await search('page', cursor))
    }
    expect(pages.map(({ body }) => body.content.length)).toEqual([20, 20, 5])
    expect(pages.flatMap(({ body }) => namesOf(body))).toEqual(names)
  })

  it('has no cursor after a last page that is full', async () => {
    await addUsers(Array.from({ length: 20 }, (_, i) => `full ${i}`))
    const { body } = await search('full')
    expect([body.content.length, body.nextCursor]).toEqual([20, null])
  })

  const cursorOf = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  it.each([
    'x',
    '%00',
    '!!!',
    cursorOf(null),
    cursorOf({}),
    cursorOf([]),
    cursorOf(['a']),
    cursorOf(['a', 'b']),
    cursorOf([1, randomUUID()]),
    cursorOf(['a\0', randomUUID()]),
  ])('refuses the cursor %j', async (cursor) =>
    expectRefusal(await search('a', cursor), 'VALIDATION_ERROR', 'cursor: must be a nextCursor of an earlier page'),
  )

  it.each(['', '?username=', `?username=${'x'.repeat(256)}`, '?username=a%00b', '?name=alice'])(
    'refuses the query %j',
    async (query) => expectRefusal(await alice.get(`/api/users/search${query}`), 'VALIDATION_ERROR', /^username: /),
  )
})
