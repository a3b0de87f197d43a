/** The generator's process: connections that ask when they were answered, or at a fixed rate. */
import { now } from '../clock.ts'
import { HttpConnection } from '../http-client.ts'
import { answerTasks } from '../task-process.ts'
import { NUMBER, type Plan, type Task, type Times } from './load.ts'

let connections: HttpConnection[] = []

answerTasks((task: Task) => ('connect' in task ? open(task.connect.port, task.connect.connections) : run(task.run)))

async function open(port: number, count: number): Promise<Times> {
  connections = await Promise.all(Array.from({ length: count }, () => HttpConnection.open(port)))
  return { asked: new Float64Array(), answered: new Float64Array() }
}

/** The parts of a request around its number. */
type Parts = readonly [head: string, tail: string | undefined]

/** Resolves when everything asked is answered; rejects at the first answer that is not 200. */
function run({ requests, seconds, rate }: Plan): Promise<Times> {
  const parts = requests.map((text): Parts => {
    const [head = '', tail] = text.split(NUMBER)
    return [head, tail]
  })
  const asked: number[] = []
  const answered: number[] = []
  let done = 0
  return new Promise((resolve, reject) => {
    const end = now() + seconds * 1_000
    const finish = () => resolve({ asked: Float64Array.from(asked), answered: Float64Array.from(answered) })

    const ask = (connection: HttpConnection, number: number, whenFree: (connection: HttpConnection) => void) => {
      const onReply = (status: number, body: Buffer) => {
        answered[number] = now()
        done++
        if (status !== 200) return reject(new Error(`answered ${status} ${body.toString('utf8', 0, 500)}`))
        whenFree(connection)
      }
      connection.exchange(textOf(parts[number % parts.length], number), onReply, reject)
    }

    if (rate === undefined) askWhenAnswered(ask)
    else askAtRate(rate, ask)

    function askWhenAnswered(askOn: typeof ask): void {
      const again = (connection: HttpConnection) => {
        const at = now()
        if (at < end) askOn(connection, asked.push(at) - 1, again)
        else if (done === asked.length) finish()
      }
      for (const connection of connections) again(connection)
    }

    function askAtRate(aSecond: number, askOn: typeof ask): void {
      // Taken in turn: one that is not used for a minute is closed by the server.
      const idle = [...connections]
      const started = now()
      const total = Math.floor(seconds * aSecond)
      if (total === 0) {
        reject(new Error(`no request is due in ${seconds} s at ${aSecond} a second`))
        return
      }
      let next = 0
      const whenFree = (connection: HttpConnection) => {
        if (next < asked.length) askOn(connection, next++, whenFree)
        else {
          idle.push(connection)
          if (done === total) finish()
        }
      }
      const tick = () => {
        const at = now()
        const due = Math.min(total, Math.floor(((at - started) * aSecond) / 1_000))
        // A request waits for a free connection on its own time: it was due at `at`.
        while (asked.length < due) asked.push(at)
        while (next < due && idle.length > 0) askOn(idle.shift() as HttpConnection, next++, whenFree)
        if (due < total) setTimeout(tick, 1)
      }
      tick()
    }
  })
}

function textOf(request: Parts | undefined, number: number): string {
  const [head = '', tail] = request ?? []
  return tail === undefined ? head : `${head}#${String(number).padStart(NUMBER.length - 1, '0')}${tail}`
}
