/** Who was told what: the events that each of several streams had between two moments, and nothing outside them. */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { EventStream, WireEvent } from './event-stream.ts'
import type { TestIsm } from './ism.ts'
import type { Person } from './person.ts'

/** A system message to people, written as the SaaS's own would be. */
export async function appendSystemMessage(ism: TestIsm, people: Person[], message: unknown): Promise<void> {
  const ids = people.map(({ id }) => id)
  const connection = await ism.sql.connect()
  try {
    await connection.query('begin; select lock_log()')
    await connection.query(`select append_event(8::smallint, null, $1, null, null, null, null, null, null, $2)`, [
      ids,
      JSON.stringify({ message }),
    ])
    await connection.query('commit')
  } finally {
    connection.release()
  }
}

export class Hearing<Name extends string> {
  readonly #ism: TestIsm
  readonly #people: Record<Name, Person>
  readonly #streams: Record<Name, EventStream>

  private constructor(ism: TestIsm, people: Record<Name, Person>, streams: Record<Name, EventStream>) {
    this.#ism = ism
    this.#people = people
    this.#streams = streams
  }

  /** Opens a stream for each; a person may be named twice, as two of their devices. */
  static async of<Name extends string>(ism: TestIsm, people: Record<Name, Person>): Promise<Hearing<Name>> {
    const streams = await Promise.all(
      Object.entries<Person>(people).map(async ([name, person]) => [name, await person.stream()]),
    )
    return new Hearing(ism, people, Object.fromEntries(streams))
  }

  /** What each heard because of `action`. A last message to all of them marks the end, so that silence is certain. */
  async during(action: () => Promise<unknown>): Promise<Record<Name, WireEvent[]>> {
    const names = Object.keys(this.#streams) as Name[]
    const begins = names.map((name) => this.#streams[name].events.length)
    await action()
    const end = randomUUID()
    await appendSystemMessage(this.#ism, [...new Set(Object.values<Person>(this.#people))], { end })
    const heard = names.map(async (name, n) => {
      const stream = this.#streams[name]
      const last = await stream.next(({ message }) => message?.end === end, `${name}'s end`)
      expect(stream.lastEventId, "the frame's id").toBe(last.eventId)
      return [name, stream.events.slice(begins[n], stream.events.indexOf(last))]
    })
    return Object.fromEntries(await Promise.all(heard))
  }
}

/** The types alone, to compare with. */
export function typesOf<Name extends string>(heard: Record<Name, WireEvent[]>): Record<Name, string[]> {
  const types = Object.entries<WireEvent[]>(heard).map(([name, events]) => [name, events.map(({ type }) => type)])
  return Object.fromEntries(types)
}
