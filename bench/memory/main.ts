/** What ISM holds and does when nobody asks anything of it, against Node that waits. */
import { setTimeout as delay } from 'node:timers/promises'
import { makeScene } from '../send/scene.ts'
import { defineBench } from '../suite/bench.ts'
import { endProcess, startProcess } from '../support/child-process.ts'
import { openLoad } from '../support/load/load.ts'
import { cpuSeconds, residentMiB } from '../support/processes.ts'
import { onStage } from '../support/stage.ts'

type Resting = { mib: number[]; cpu: number[] }

const ROOM_SIZE = 10
const SENDERS = 64

export const memory = defineBench({
  name: 'memory',
  about: 'memory and CPU of ISM at rest, just started and after load, against Node that waits',
  settings: {
    rest: { full: 20, small: 1, doc: 'seconds of rest before each look' },
    load: { full: 10, small: 1, doc: `seconds of load by ${SENDERS} senders` },
    rounds: { full: 3, small: 1, doc: 'starts' },
  },
  targets: {},
  run: ({ settings, say }) =>
    onStage(async (stage) => {
      const scene = await makeScene(stage, [ROOM_SIZE], 100)
      const waiting: Resting = { mib: [], cpu: [] }
      const started: Resting = { mib: [], cpu: [] }
      const loaded: Resting = { mib: [], cpu: [] }
      for (let round = 1; round <= settings.rounds; round++) {
        say(`round ${round}`)
        const node = startProcess(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' })
        const database = `round_${round}`
        const ism = await stage.startIsm({ database })
        const sql = await stage.connect(database)
        await scene.fill(sql)
        await sql.end()
        await Promise.all([look(node.pid ?? 0, settings.rest, waiting), look(ism.pid, settings.rest, started)])
        await endProcess(node)
        const load = await openLoad(ism.port, SENDERS)
        await load.run({ requests: scene.requests(ROOM_SIZE), seconds: settings.load })
        await load.stop()
        await look(ism.pid, settings.rest, loaded)
        await ism.stop()
      }
      const rows = [
        { labels: ['Node that waits'], values: [waiting.mib, waiting.cpu] },
        { labels: ['ISM, just started'], values: [started.mib, started.cpu] },
        { labels: [`ISM, after ${settings.load} s of sends`], values: [loaded.mib, loaded.cpu] },
      ]
      return {
        tables: [
          {
            title: `After ${settings.rest} s of rest`,
            labels: [''],
            columns: [
              { head: 'resident MiB', digits: 0 },
              { head: 'CPU ms a second', digits: 1 },
            ],
            rows,
          },
        ],
        reached: {},
        charts: [
          {
            name: 'memory',
            title: 'Resident memory at rest',
            unit: 'MiB',
            bars: rows.map(({ labels: [label = ''], values: [series = []] }) => ({ label, side: '', series })),
          },
        ],
      }
    }),
})

/** The second half of the rest counts: the first is for what the load left behind. */
async function look(pid: number, seconds: number, { mib, cpu }: Resting): Promise<void> {
  await delay((seconds / 2) * 1_000)
  const before = cpuSeconds(pid)
  await delay((seconds / 2) * 1_000)
  mib.push(residentMiB(pid))
  cpu.push(((cpuSeconds(pid) - before) * 1_000) / (seconds / 2))
}
