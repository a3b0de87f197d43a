/** From a verified token to the person who makes the request: known from before, made now, or refused. */
import { LRUCache } from 'lru-cache'
import type { VerifiedToken } from '../auth/verified-token.ts'
import type { UsersConfig } from '../config/config.ts'
import { type Batches, createBatches, SHARED } from '../infra/batches.ts'
import type { Database } from '../infra/postgres.ts'
import { forbidden } from '../shared/app-error.ts'
import { findKnownPeople, insertPerson, type KnownPerson, renamePerson } from './provisioning-repository.ts'
import type { CurrentUser } from './user.ts'

const MAX_KNOWN = 50_000
/** How long a row is believed: for long while changes are notified, else a moment. */
const NOTIFIED_TTL_MS = 60_000
const ALONE_TTL_MS = 1_000
const MAX_NAME = 255
/** Suffixes 2 to 9 first, as people would; then random ones, so that a popular name does not take forever. */
const PLAIN_SUFFIXES = 9

type Entry = KnownPerson & { readAt: number }

/** The person's name by the claims of their token. */
export function nameIn(claims: Record<string, unknown>, { nameClaim }: UsersConfig): string | undefined {
  for (const claim of [nameClaim, 'name']) {
    const value = claims[claim]
    // Control characters and lone surrogates are no part of a name, and PostgreSQL takes no U+0000.
    const name = typeof value === 'string' ? value.replace(/[\p{Cc}\p{Cs}]/gu, '').trim() : ''
    if (name) return cut(name, MAX_NAME)
  }
  return undefined
}

export class CurrentUsers {
  readonly #db: Database
  readonly #config: UsersConfig
  readonly #isNotified: () => boolean
  readonly #known = new LRUCache<string, Entry>({ max: MAX_KNOWN })
  /** Thousands may come at once, to a node that knows nobody yet. */
  readonly #reads: Batches<string, Entry | undefined>
  /** Counts the changes that were heard of. */
  #changes = 0

  /** `isNotified` tells whether changes of app_user are heard of at present. */
  constructor(db: Database, config: UsersConfig, isNotified: () => boolean) {
    this.#db = db
    this.#config = config
    this.#isNotified = isNotified
    this.#reads = createBatches<string, Entry | undefined>({
      ...SHARED,
      run: (ids) => this.#readAll(ids),
    })
  }

  /** @throws AppError INSUFFICIENT_PERMISSIONS unknown where nothing is provisioned, or deleted */
  async resolve(token: VerifiedToken): Promise<CurrentUser> {
    let person = this.#cached(token.userId) ?? (await this.#reads.add(token.userId))
    if (!person) {
      if (this.#config.provision === 'off')
        throw forbidden('ISM does not know this user: the operator has to create them first.')
      person = await this.#provision(token)
    }
    if (person.deleted) throw forbidden('This user was deleted.')
    if (this.#isRenamed(person, token)) person = await this.#rename(person, token)
    return person
  }

  /** Somebody changed this person's row. */
  forget(userId: string): void {
    this.#changes++
    this.#known.delete(userId)
  }

  forgetAll(): void {
    this.#changes++
    this.#known.clear()
  }

  #cached(userId: string): Entry | undefined {
    const entry = this.#known.get(userId)
    const ttl = this.#isNotified() ? NOTIFIED_TTL_MS : ALONE_TTL_MS
    return entry && performance.now() - entry.readAt < ttl ? entry : undefined
  }

  async #readAll(ids: string[]): Promise<(Entry | undefined)[]> {
    const readAt = performance.now()
    const changes = this.#changes
    const people = new Map((await findKnownPeople(this.#db, ids)).map((person) => [person.id, person]))
    return ids.map((id) => {
      const person = people.get(id)
      if (!person) return undefined
      // Field by field, with the token's text of the id: a copy of a row has a hidden class of its own and is larger.
      const { displayName, deleted, nameClaim, issuedAt } = person
      const entry = { id, displayName, deleted, nameClaim, issuedAt, readAt }
      // What was read may be from before a change that was heard of meanwhile: good for this call, not to be kept.
      if (changes === this.#changes) this.#known.set(id, entry)
      return entry
    })
  }

  async #provision(token: VerifiedToken): Promise<Entry> {
    const claim = nameClaimOf(token)
    for (const displayName of namesFor(claim)) {
      await insertPerson(this.#db, { id: token.userId, displayName, nameClaim: claim, issuedAt: token.issuedAt })
      const person = await this.#reads.add(token.userId)
      if (person) return person
    }
    throw new Error('no free display name was found')
  }

  /** Only of people whom ISM made, and only by a newer token: an old one is still around after a change. */
  #isRenamed(person: KnownPerson, token: VerifiedToken): boolean {
    if (this.#config.provision === 'off' || person.nameClaim === null || person.issuedAt === null) return false
    return token.issuedAt > person.issuedAt && nameClaimOf(token) !== person.nameClaim
  }

  async #rename(person: KnownPerson, token: VerifiedToken): Promise<Entry> {
    const claim = nameClaimOf(token)
    for (const displayName of namesFor(claim)) {
      const done = await renamePerson(this.#db, {
        id: person.id,
        displayName,
        nameClaim: claim,
        issuedAt: token.issuedAt,
      })
      if (!done) continue
      const renamed = await this.#reads.add(person.id)
      if (renamed) return renamed
      break
    }
    throw new Error('no free display name was found')
  }
}

function nameClaimOf({ name, userId }: VerifiedToken): string {
  return name ?? `user-${userId.slice(0, 8)}`
}

function* namesFor(claim: string): Generator<string> {
  yield claim
  for (let n = 2; n <= PLAIN_SUFFIXES; n++) yield suffixed(claim, String(n))
  for (let n = 0; n < 20; n++) yield suffixed(claim, Math.random().toString(36).slice(2, 8))
}

function suffixed(name: string, suffix: string): string {
  return `${cut(name, MAX_NAME - suffix.length - 1)}-${suffix}`
}

/** The first `length` characters, as PostgreSQL counts them. */
function cut(text: string, length: number): string {
  return text.length <= length ? text : [...text].slice(0, length).join('')
}
