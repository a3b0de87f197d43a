/** How people come to be known: made from their token's claims at their first call, renamed by newer ones, or left to the operator. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { App } from '../../src/app.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { nowSeconds, sign } from '../support/issuer-server.ts'
import { type Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

let ism: TestIsm
/** Another name claim, and people left to the operator. */
let nickname: App
let off: App

beforeAll(async () => {
  ism = await startIsm()
  ;[nickname, off] = await Promise.all([
    ism.anotherNode({ users: { nameClaim: 'nickname' } }),
    ism.anotherNode({ users: { provision: 'off' } }),
  ])
})
afterAll(async () => {
  await Promise.all([nickname.close(), off.close()])
  await ism.stop()
})

type Claims = Record<string, unknown>

async function call(id: string, claims: Claims, node = ism.app): Promise<Answer> {
  const token = await sign(ism.key, ism.issuer.url, { sub: id, ...claims })
  return new Person(`http://127.0.0.1:${node.address.port}`, id, '', token).get(`/api/users/${id}`)
}

/** @returns the name that somebody who calls with these claims then has */
async function nameAfter(id: string, claims: Claims, node = ism.app): Promise<string> {
  const { status, body } = await call(id, claims, node)
  expect(status, JSON.stringify(body)).toBe(200)
  return body.user.displayName
}

const firstName = (claims: Claims, node?: App) => nameAfter(randomUUID(), claims, node)

async function addRow(id: string, name: string): Promise<void> {
  await ism.sql.query(
    `insert into app_user (id, created_at, display_name, friends_count, street_credits, role)
    values ($1, '2020-01-01', $2, 3, 5, 'ADMIN')`,
    [id, name],
  )
}

const rowOf = async (id: string) => (await ism.sql.query('select * from app_user where id = $1', [id])).rows[0]

describe('the first call', () => {
  it('makes a row with the columns that ISM 0.7.9 has', async () => {
    const id = randomUUID()
    await call(id, { preferred_username: 'First Caller' })
    expect(await rowOf(id)).toEqual({
      id,
      created_at: expect.any(Date),
      deleted_at: null,
      description: null,
      display_name: 'First Caller',
      friends_count: '0',
      last_modified_at: null,
      profile_picture: null,
      street_credits: '0',
      raw_name: 'first caller',
      role: 'USER',
    })
    expect(Math.abs(Date.now() - (await rowOf(id)).created_at.getTime())).toBeLessThan(60_000)
  })

  it('may be any call, also one that is then refused', async () => {
    const id = randomUUID()
    const token = await sign(ism.key, ism.issuer.url, { sub: id, preferred_username: 'refused caller' })
    const caller = new Person(ism.url, id, '', token)
    expectRefusal(await caller.get(`/api/rooms/${randomUUID()}`), 'CONTENT_NOT_FOUND')
    expect((await rowOf(id)).display_name).toBe('refused caller')
  })

  it('makes nobody of a token that is refused', async () => {
    const id = randomUUID()
    expect((await call(id, { preferred_username: 'nobody', aud: 'other' })).status).toBe(401)
    expect(await rowOf(id)).toBeUndefined()
  })

  it('twenty times at once makes one person', async () => {
    const id = randomUUID()
    const calls = Array.from({ length: 20 }, () => nameAfter(id, { preferred_username: 'twenty times' }))
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['twenty times']))
  })
})

describe('the name', () => {
  it('is the configured claim, else name, else made up', async () => {
    const claims = { nickname: 'by nickname', preferred_username: 'by username', name: 'by name' }
    expect(await firstName(claims, nickname)).toBe('by nickname')
    expect(await firstName(claims)).toBe('by username')
    expect(await firstName({ name: 'by name' })).toBe('by name')
    expect(await firstName({ name: 'by name too', preferred_username: 'not asked for' }, nickname)).toBe('by name too')
    const id = randomUUID()
    expect(await nameAfter(id, {})).toBe(`user-${id.slice(0, 8)}`)
  })

  it.each([
    ['a number', 42],
    ['an object', { first: 'a' }],
    ['a list', ['a']],
    ['true', true],
    ['empty', ''],
    ['blank', ' \t\u2003'],
    ['control characters alone', '\u0000\u0007\u001b\u009f'],
    ['half a character', '\ud83d'],
  ])('that is %s is passed over', async (kind, claim) => {
    expect(await firstName({ preferred_username: claim, name: `instead of ${kind}` })).toBe(`instead of ${kind}`)
  })

  it.each([
    ['blanks around', '  trimmed \n', 'trimmed'],
    ['control characters', 'bell\u0007 and\u0000 nul\r\n too', 'bell and nul too'],
    ['half a character', 'half \ud83d a character', 'half  a character'],
    ['SQL', "Robert'); drop table app_user;--", "Robert'); drop table app_user;--"],
    ['any script', 'Zoë 😀 山田', 'Zoë 😀 山田'],
    ['300 letters', 'n'.repeat(300), 'n'.repeat(255)],
    ['300 outside the BMP', '😀'.repeat(300), '😀'.repeat(255)],
    ['letters that lower case makes longer', 'İ'.repeat(255), 'İ'.repeat(255)],
  ])('of %s is made fit', async (_, claim, name) => expect(await firstName({ preferred_username: claim })).toBe(name))

  it('gets a suffix where another has it, and may be had again once that one is deleted', async () => {
    const id = randomUUID()
    expect(await nameAfter(id, { preferred_username: 'taken' })).toBe('taken')
    expect(await firstName({ preferred_username: 'taken' })).toBe('taken-2')
    expect(await firstName({ preferred_username: 'taken' })).toBe('taken-3')
    expect(await firstName({ preferred_username: 'Taken' })).toBe('Taken')
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [id])
    expect(await firstName({ preferred_username: 'taken' })).toBe('taken')
  })

  it('still fits with its suffix', async () => {
    const long = '😀'.repeat(255)
    await firstName({ preferred_username: long })
    const name = await firstName({ preferred_username: long })
    expect(name.startsWith('😀'.repeat(200))).toBe(true)
    expect([...name].length).toBeLessThanOrEqual(255)
    expect(name).toMatch(/-\w+$/)
  })

  it('is unique also among twenty who come at once', async () => {
    const names = await Promise.all(Array.from({ length: 20 }, () => firstName({ preferred_username: 'popular' })))
    expect(new Set(names).size).toBe(20)
    expect(names).toContain('popular')
    for (const name of names) expect(name).toMatch(/^popular(-\w+)?$/)
  })
})

describe('a later claim', () => {
  const now = nowSeconds()
  const named = (name: string, iat: unknown) => ({ preferred_username: name, iat })

  it('is followed where its token is newer, and not where it is older or as old', async () => {
    const id = randomUUID()
    expect(await nameAfter(id, named('at first', now - 100))).toBe('at first')
    expect(await nameAfter(id, named('too old', now - 101))).toBe('at first')
    expect(await nameAfter(id, named('as old', now - 100))).toBe('at first')
    expect(await nameAfter(id, named('Later', now - 50))).toBe('Later')
    expect(await nameAfter(id, named('at first', now - 100))).toBe('Later')
    expect(await rowOf(id)).toMatchObject({ raw_name: 'later', last_modified_at: expect.any(Date) })
    expect((await call(id, named('', now))).body.user.displayName).toBe(`user-${id.slice(0, 8)}`)
  })

  it('is followed on every node', async () => {
    const id = randomUUID()
    const [friend] = await ism.people('sees the new name')
    const elsewhere = await ism.anotherNode()
    const url = `http://127.0.0.1:${elsewhere.address.port}`
    expect(await nameAfter(id, named('on every node', now - 100), elsewhere)).toBe('on every node')
    expect(await nameAfter(id, named('on every node now', now - 50))).toBe('on every node now')
    expect((await friend.at(url).get(`/api/users/${id}`)).body.user.displayName).toBe('on every node now')
    expect(await nameAfter(id, named('on every node', now - 100), elsewhere)).toBe('on every node now')
    await elsewhere.close()
  })

  it('gets a suffix where another has the name', async () => {
    const id = randomUUID()
    await firstName(named('wanted name', now))
    await nameAfter(id, named('unwanted name', now - 100))
    expect(await nameAfter(id, named('wanted name', now))).toBe('wanted name-2')
    expect(await nameAfter(id, named('wanted name', now + 1))).toBe('wanted name-2')
  })

  it('twenty times at once is followed once', async () => {
    const id = randomUUID()
    await nameAfter(id, named('before the rush', now - 100))
    const calls = Array.from({ length: 20 }, (_, i) => nameAfter(id, named('after the rush', now - i)))
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['after the rush']))
  })

  it('that is the newest wins, also among twenty at once', async () => {
    const id = randomUUID()
    await nameAfter(id, named('before the race', now - 100))
    await Promise.all(Array.from({ length: 20 }, (_, i) => call(id, named(`race ${i}`, now - i))))
    expect((await rowOf(id)).display_name).toBe('race 0')
    const { rows } = await ism.sql.query('select issued_at from user_provision where user_id = $1', [id])
    expect(rows).toEqual([{ issued_at: String(now) }])
  })

  it.each([
    ['no iat', undefined],
    ['a fraction of a second in its iat', now + 0.75],
  ])('and the first may be of a token with %s', async (kind, iat) => {
    const id = randomUUID()
    expect(await nameAfter(id, named(`first of ${kind}`, iat))).toBe(`first of ${kind}`)
    expect(await nameAfter(id, named(`then of ${kind}`, now + 10.5))).toBe(`then of ${kind}`)
  })
})

describe('a row that ISM did not make', () => {
  it('is never changed', async () => {
    const id = randomUUID()
    await addRow(id, 'Made by the operator')
    const before = await rowOf(id)
    expect(await nameAfter(id, { preferred_username: 'another name', iat: nowSeconds() + 100 })).toBe(
      'Made by the operator',
    )
    expect(await rowOf(id)).toEqual(before)
  })
})

describe('with provisioning off', () => {
  it('whom the operator did not create is refused, in words that say so, and let in once created', async () => {
    const id = randomUUID()
    const refused = await call(id, { preferred_username: 'not yet' }, off)
    expectRefusal(refused, 'INSUFFICIENT_PERMISSIONS', /does not know this user.*operator/)
    expect(await rowOf(id)).toBeUndefined()
    await addRow(id, 'Created meanwhile')
    expect(await nameAfter(id, { preferred_username: 'not yet' }, off)).toBe('Created meanwhile')
  })

  it('nobody is renamed', async () => {
    const id = randomUUID()
    await nameAfter(id, { preferred_username: 'stays as it is', iat: nowSeconds() - 100 })
    expect(await nameAfter(id, { preferred_username: 'changed' }, off)).toBe('stays as it is')
  })
})
