/** What is compared: sends over HTTP to an ISM, and the bare append function. */
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { archiveProgress, untilArchived } from '../support/archive-progress.ts'
import { openLoad, type Ran, ranBy, type Times } from '../support/load/load.ts'
import { cpuSeconds } from '../support/processes.ts'
import type { IsmOptions, Stage } from '../support/stage.ts'
import { TaskProcess } from '../support/task-process.ts'
import type { AppendTask } from './append-process.ts'
import type { Scene } from './scene.ts'

export type Sent = {
  rate: number
  p50: number
  p99: number
  /** CPU µs a send, until what was sent is archived too; of the bare append there is no ISM. */
  ismCpu?: number
  postgresCpu: number
  loadCpu: number
  /** Of what was sent in the second half of the run, how much the archive took in meanwhile: 1 or so where it keeps up. */
  archivedShare?: number
}

export type Side = {
  name: string
  run(senders: number, roomSize: number, seconds: number): Promise<Sent>
  stop(): Promise<void>
}

const APPEND_PROCESS = fileURLToPath(new URL('./append-process.ts', import.meta.url))

export async function httpSide(stage: Stage, scene: Scene, name: string, options: IsmOptions): Promise<Side> {
  const ism = await stage.startIsm(options)
  const sql = await stage.connect(ism.database)
  await scene.fill(sql)
  return {
    name,
    async run(senders, roomSize, seconds) {
      const load = await openLoad(ism.port, senders)
      try {
        const before = { ism: cpuSeconds(ism.pid), postgres: cpuSeconds(stage.postgresPid) }
        const [ran, archivedShare] = await Promise.all([
          load.run({ requests: scene.requests(roomSize), seconds }),
          archivedMeanwhile(stage, ism.database, seconds),
        ])
        await untilArchived(sql)
        return {
          ...sentBy(ran, cpuSeconds(stage.postgresPid) - before.postgres),
          ismCpu: microsEach(cpuSeconds(ism.pid) - before.ism, ran),
          archivedShare,
        }
      } finally {
        await load.stop()
      }
    },
    async stop() {
      await sql.end()
      await ism.stop()
    },
  }
}

/** On a database of its own, which no ISM works on. */
export async function bareSide(stage: Stage, scene: Scene, name: string): Promise<Side> {
  const database = 'bare'
  await stage.configure(database)
  const sql = await stage.connect(database)
  await scene.fill(sql)
  const { host, port } = sql
  const appending = new TaskProcess<AppendTask, Times>(APPEND_PROCESS)
  await appending.ask({
    connect: { host, port, user: sql.user ?? '', password: String(sql.password), database },
  })
  await sql.end()
  return {
    name,
    async run(senders, roomSize, seconds) {
      const before = cpuSeconds(stage.postgresPid)
      const ran = await ranBy(appending, { append: { sends: scene.sends(roomSize), senders, seconds } })
      return sentBy(ran, cpuSeconds(stage.postgresPid) - before)
    },
    stop: () => appending.stop(),
  }
}

function sentBy(ran: Ran, postgresCpu: number): Sent {
  const { rate, p50, p99, cpu } = ran
  return { rate, p50, p99, postgresCpu: microsEach(postgresCpu, ran), loadCpu: microsEach(cpu, ran) }
}

const microsEach = (cpu: number, { asked }: Ran) => (cpu / asked.length) * 1e6

async function archivedMeanwhile(stage: Stage, database: string, seconds: number): Promise<number> {
  const sql = await stage.connect(database)
  try {
    await delay((seconds / 2) * 1_000)
    const half = await archiveProgress(sql)
    // A little before the end, when all senders still send.
    await delay((seconds / 2) * 1_000 - 50)
    const end = await archiveProgress(sql)
    return (end.archived - half.archived) / (end.head - half.head)
  } finally {
    await sql.end()
  }
}
