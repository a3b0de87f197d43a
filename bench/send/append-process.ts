/** The plain script that sends are held against: the append function, called in batches, and nothing else. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { now } from '../support/clock.ts'
import type { Times } from '../support/load/load.ts'
import { answerTasks } from '../support/task-process.ts'

export type Send = { roomId: string; senderId: string; body: string; preview: string }

export type AppendTask =
  | { connect: { host: string; port: number; user: string; password: string; database: string } }
  | { append: { sends: Send[]; senders: number; seconds: number } }

/** As many as ISM puts into one batch (src/log/send-batch.ts). */
const BATCH = 512

let client: pg.Client | undefined

answerTasks((task: AppendTask) => ('connect' in task ? connect(task.connect) : append(task.append)))

async function connect(connection: pg.ClientConfig): Promise<Times> {
  client = new pg.Client(connection)
  await client.connect()
  return { asked: new Float64Array(), answered: new Float64Array() }
}

/** Each sender has one send on its way; what waits while a batch commits is the next batch. */
async function append({ sends, senders, seconds }: Extract<AppendTask, { append: unknown }>['append']): Promise<Times> {
  const asked: number[] = []
  const answered: number[] = []
  const end = now() + seconds * 1_000
  let waiting: number[] = []
  const send = () => {
    waiting.push(asked.push(now()) - 1)
  }
  for (let n = 0; n < senders; n++) send()
  while (waiting.length > 0) {
    const batch = waiting.slice(0, BATCH)
    waiting = waiting.slice(BATCH)
    await call(batch.map((number) => sends[number % sends.length] as Send))
    const at = now()
    for (const number of batch) {
      answered[number] = at
      if (at < end) send()
    }
  }
  return { asked: Float64Array.from(asked), answered: Float64Array.from(answered) }
}

async function call(batch: Send[]): Promise<void> {
  const result = await client?.query({
    name: 'append',
    text: 'select n, status, seq, room_seq, message_id, created_at from append_sends($1, $2, $3, $4, $5, $6, $7)',
    values: [
      batch.map(({ roomId }) => roomId),
      batch.map(({ senderId }) => senderId),
      batch.map(() => randomUUID()),
      batch.map(() => null),
      batch.map(() => 1),
      batch.map(({ body }) => body),
      batch.map(({ preview }) => preview),
    ],
  })
  if (result?.rows.length !== batch.length || result.rows.some(({ status }) => status !== 0))
    throw new Error(`of a batch of ${batch.length}, not all was appended`)
}
