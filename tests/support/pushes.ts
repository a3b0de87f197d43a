/** A receiver of pushes, and how far the projection that feeds it is. */

import type { WireEvent } from './event-stream.ts'
import { eventually } from './eventually.ts'
import { HttpReceiver } from './http-receiver.ts'
import type { TestIsm } from './ism.ts'
import type { Person } from './person.ts'

export type PushObject = { to_user: string[]; notification: WireEvent }

export class PushReceiver extends HttpReceiver {
  /** What was accepted, in order; without an `answer` that is everything. */
  get pushes(): PushObject[] {
    return this.received.flatMap(({ body }) => JSON.parse(body) as PushObject[])
  }

  /** A person's, in order. */
  of({ id }: { id: string }): WireEvent[] {
    return this.pushes.filter(({ to_user }) => to_user.includes(id)).map(({ notification }) => notification)
  }

  /** What their messages say, in order; of other events the type. */
  wordsOf(person: { id: string }): string[] {
    return this.of(person).map(({ type, message }) => message?.msgBody.text ?? type)
  }

  textsOf(person: { id: string }): string[] {
    return this.of(person).flatMap(({ message }) => message?.msgBody.text ?? [])
  }
}

/** Resolves when all that the log has now is decided and delivered; nobody's lease makes that last longer than ten seconds. */
export async function pushed({ sql }: Pick<TestIsm, 'sql'>, name = 'push:http', milliseconds = 20_000): Promise<void> {
  const { rows } = await sql.query('select coalesce(max(seq), 0) as head from event')
  await eventually(
    `${name} has come to ${rows[0].head}`,
    async () =>
      (await sql.query('select from projection where name = $1 and seq >= $2', [name, rows[0].head])).rowCount === 1,
    milliseconds,
  )
}

/** Opens a stream, and waits until the other nodes can know of it. */
export async function connect({ sql }: Pick<TestIsm, 'sql'>, person: Person) {
  const stream = await person.stream()
  await eventually(
    'their stream is known',
    async () => (await sql.query('select from presence where user_id = $1', [person.id])).rowCount !== 0,
  )
  return stream
}

/** Resolves when nobody can know any more that they had a stream. */
export async function disconnected({ sql }: Pick<TestIsm, 'sql'>, person: Person): Promise<void> {
  await eventually(
    'their stream is forgotten',
    async () => (await sql.query('select from presence where user_id = $1', [person.id])).rowCount === 0,
  )
}
