/** Pushes that are set aside since they alone were not taken: each holds up its own people, and nobody else. */
import type { Push } from './push.ts'

export type Held = {
  readonly push: Push
  refusals: number
  /** How many batches the target had accepted when this was last tried. */
  acceptances: number
  dueAt: number
  /** What came since for its people, in order. */
  readonly behind: Push[]
}

/** A push for a whole room waits once for each of its members who is held up by another one. */
const MAX_BEHIND = 100_000

export class HeldPushes {
  readonly #held = new Set<Held>()
  /** Which push holds somebody up. */
  readonly #holding = new Map<string, Held>()
  #behind = 0

  hold(push: Push): Held {
    const held: Held = { push, refusals: 0, acceptances: 0, dueAt: 0, behind: [] }
    this.#held.add(held)
    for (const user of push.users) this.#holding.set(user, held)
    return held
  }

  /** @returns what was behind it */
  release(held: Held): Push[] {
    this.#held.delete(held)
    for (const user of held.push.users) this.#holding.delete(user)
    this.#behind -= held.behind.length
    return held.behind
  }

  clear(): void {
    this.#held.clear()
    this.#holding.clear()
    this.#behind = 0
  }

  /** So much waits behind them that nothing else is to be split. */
  get isFull(): boolean {
    return this.#behind >= MAX_BEHIND
  }

  /** Infinity where none is held. */
  get nextDueAt(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { dueAt } of this.#held) next = Math.min(next, dueAt)
    return next
  }

  /** The one that has been due for longest. */
  due(): Held | undefined {
    let due: Held | undefined
    for (const held of this.#held) if (held.dueAt < (due?.dueAt ?? Number.POSITIVE_INFINITY)) due = held
    return due && due.dueAt <= performance.now() ? due : undefined
  }

  /** The target takes something: whoever only had no answer, like everybody at that time, need not wait longer. */
  hurry(): void {
    const now = performance.now()
    for (const held of this.#held) if (held.refusals === 0) held.dueAt = Math.min(held.dueAt, now)
  }

  /** @returns nothing where nobody is held up; otherwise the push for the others, and the parts that wait from now on */
  split(push: Push): { free: Push | undefined; behind: Push[] } | undefined {
    if (this.#holding.size === 0 || !push.users.some((user) => this.#holding.has(user))) return undefined
    const users: string[] = []
    const parts = new Map<Held, string[]>()
    for (const user of push.users) {
      const held = this.#holding.get(user)
      const part = held ? parts.get(held) : users
      if (part) part.push(user)
      else if (held) parts.set(held, [user])
    }
    const behind: Push[] = []
    for (const [held, theirs] of parts) {
      const part = { ...push, users: theirs }
      held.behind.push(part)
      behind.push(part)
    }
    this.#behind += behind.length
    return { free: users.length > 0 ? { ...push, users } : undefined, behind }
  }
}
