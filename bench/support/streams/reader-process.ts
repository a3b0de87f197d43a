/** The clients' process: opens connections, counts the events that arrive on them, and notes when. */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { now } from '../clock.ts'
import { answerTasks } from '../task-process.ts'
import type { Openings, Report, Task } from './readers.ts'

const numbered = process.argv[2] === 'numbered'
/** Once in every event, and in nothing else that a stream carries. */
const MARKER = Buffer.from(numbered ? '"msgBody":{"text":"#' : '"type":"ChatMessage"')
/** Digits of a number, after its marker. */
const DIGITS = numbered ? 8 : 0
const FOUND = MARKER.length + DIGITS
const HEAD_END = Buffer.from('\r\n\r\n')
const NEWLINE = 10
const COME_AGAIN_MS = 500

let arrivals: number[] = []
let numbers: number[] = []
let due = 0
let complete: (() => void) | undefined
let sockets: Socket[] = []
/** Why the last stream that was refused was so. */
let refusal = 'closed without an answer'
/** Those that the server may close, and what then becomes of connection `n`; of others it is a failure. */
let ending: { sockets: Set<Socket>; reopen: (n: number) => void } | undefined
let reopened: Promise<Report> = Promise.reject(new Error('nothing was to be reopened'))
reopened.catch(() => {})

answerTasks((task: Task) => work(task))

async function work(task: Task): Promise<Report> {
  if ('open' in task) return open(task.open, task.atOnce)
  if ('reopen' in task) return reopen(task.reopen)
  if ('reopened' in task) return reopened
  if ('closeAll' in task) return closeAll()
  return expect(task.expect)
}

async function open({ port, heads }: Openings, atOnce: number): Promise<Report> {
  const from = now()
  const first = sockets.length
  const queue = heads.entries()
  const openSome = async () => {
    for (const [n, head] of queue)
      if (!(await openOne(first + n, port, head))) throw new Error(`stream ${first + n} was refused: ${refusal}`)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, heads.length) }, openSome))
  return { opened: now(), seconds: (now() - from) / 1_000, again: 0 }
}

function reopen({ port, heads }: Openings): Report {
  const from = now()
  let again = 0
  const openings: Promise<void>[] = []
  reopened = new Promise((resolve) => {
    const come = async (n: number) => {
      // As an EventSource does: one that is turned away comes again.
      while (!(await openOne(n, port, heads[n] ?? ''))) {
        again++
        await delay(COME_AGAIN_MS)
      }
    }
    const reopenOne = (n: number) => {
      openings.push(come(n))
      if (openings.length === heads.length)
        void Promise.all(openings).then(() => resolve({ opened: now(), seconds: (now() - from) / 1_000, again }))
    }
    ending = { sockets: new Set(sockets), reopen: reopenOne }
  })
  return { done: true }
}

async function closeAll(): Promise<Report> {
  const open = sockets
  sockets = []
  await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())))
  return { done: true }
}

async function expect(count: number): Promise<Report> {
  due = count
  if (arrivals.length < due)
    await new Promise<void>((resolve) => {
      complete = resolve
    })
  if (arrivals.length > due) throw new Error(`${arrivals.length} events arrived where ${due} were due`)
  const received = { arrivals: Float64Array.from(arrivals), numbers: Int32Array.from(numbers) }
  due = 0
  arrivals = []
  numbers = []
  return received
}

/** One buffer for all: what a connection received is counted before the next one is read. */
const buffer = Buffer.allocUnsafe(256 * 1024)

/** @returns false where the server refused it, or closed it before its head was there; `sockets[n]` is it otherwise */
function openOne(n: number, port: number, head: string): Promise<boolean> {
  return new Promise((resolve) => {
    let isOpen = false
    /** The end of the last chunk, where it may be the beginning of a marker. */
    let rest: Buffer | undefined
    const callback = (length: number) => {
      let bytes: Buffer = buffer.subarray(0, length)
      if (!isOpen) {
        isOpen = bytes.includes(HEAD_END) && bytes.toString('latin1', 9, 12) === '200'
        if (!isOpen) {
          refusal = bytes.toString('latin1', 0, 500)
          socket.destroy()
          return false
        }
        sockets[n] = socket
        resolve(true)
      }
      if (rest) bytes = Buffer.concat([rest, bytes])
      rest = bytes[bytes.length - 1] === NEWLINE ? undefined : Buffer.from(bytes.subarray(-FOUND + 1))
      count(bytes)
      return true
    }
    const socket = connect({ host: '127.0.0.1', port, onread: { buffer, callback } })
    socket.on('connect', () => socket.write(head))
    // What follows is `close`.
    socket.on('error', (error) => {
      refusal = error.message
    })
    socket.on('close', () => {
      if (!isOpen) resolve(false)
      else if (ending?.sockets.has(socket)) ending.reopen(n)
      else if (sockets[n] === socket) fail(new Error('a stream was closed'))
    })
  })
}

function count(bytes: Buffer): void {
  const at = now()
  const before = arrivals.length
  for (let found = bytes.indexOf(MARKER); found >= 0; found = bytes.indexOf(MARKER, found + MARKER.length)) {
    const end = found + FOUND
    if (end > bytes.length) break
    arrivals.push(at)
    if (numbered) numbers.push(Number(bytes.toString('latin1', found + MARKER.length, end)))
  }
  if (arrivals.length > before && arrivals.length >= due) complete?.()
}

function fail(error: Error): void {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}
