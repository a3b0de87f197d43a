/** The clients, a process of its own: opens connections, counts the events that arrive on them, and notes when. */
import { connect } from 'node:net'
import type { Report, Task } from './readers.ts'

/** Once in every event, and in nothing else that a stream carries. */
const MARKER = Buffer.from('"type":"ChatMessage"')
const HEAD_END = Buffer.from('\r\n\r\n')

let due = 0
let arrivals: number[] = []
let opened = 0
const sockets: ReturnType<typeof connect>[] = []

process.on('message', (task: Task) => {
  if ('open' in task) void open(task.open.port, task.open.heads)
  else if ('expect' in task) {
    due = task.expect
    reportIfComplete()
  } else process.exit()
})

function report(what: Report): void {
  process.send?.(what)
}

async function open(port: number, heads: string[]): Promise<void> {
  const from = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      for (let n = next++; n < heads.length; n = next++) await openOne(port, heads[n] as string)
    }),
  )
  opened += heads.length
  report({ opened, seconds: (performance.now() - from) / 1_000 })
}

/** One buffer for all: what a connection received is counted before the next one is read. */
const buffer = Buffer.allocUnsafe(256 * 1024)

function openOne(port: number, head: string): Promise<void> {
  return new Promise((resolve) => {
    let isOpen = false
    /** The end of the last chunk, where it may be the beginning of a marker. */
    let rest: Buffer | undefined
    const socket = connect({
      host: '127.0.0.1',
      port,
      onread: {
        buffer,
        callback(length) {
          let bytes: Buffer = buffer.subarray(0, length)
          if (!isOpen) {
            isOpen = true
            if (!bytes.includes(HEAD_END) || bytes.toString('latin1', 9, 12) !== '200')
              fail(new Error(bytes.toString('latin1', 0, 500)))
            resolve()
          }
          if (rest) bytes = Buffer.concat([rest, bytes])
          rest = bytes[bytes.length - 1] === 10 ? undefined : Buffer.from(bytes.subarray(-MARKER.length + 1))
          let count = 0
          for (let at = bytes.indexOf(MARKER); at >= 0; at = bytes.indexOf(MARKER, at + MARKER.length)) count++
          if (count > 0) arrived(count)
          return true
        },
      },
    })
    socket.on('connect', () => socket.write(head))
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('a stream was closed')))
    sockets.push(socket)
  })
}

function arrived(count: number): void {
  const at = Number(process.hrtime.bigint()) / 1e6
  for (let n = 0; n < count; n++) arrivals.push(at)
  reportIfComplete()
}

function reportIfComplete(): void {
  if (due === 0 || arrivals.length < due) return
  if (arrivals.length > due) fail(new Error(`${arrivals.length} events arrived where ${due} were due`))
  due = 0
  const { user, system } = process.cpuUsage()
  report({ arrivals: Float64Array.from(arrivals), cpuSeconds: (user + system) / 1e6 })
  arrivals = []
}

function fail(error: Error): void {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}
