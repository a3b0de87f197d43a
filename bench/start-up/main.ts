/** From the command to listening: `ism serve` on a migrated database, against Node that does nothing. */
import { defineBench } from '../suite/bench.ts'
import { ratios } from '../suite/statistics.ts'
import { endProcess, startProcess } from '../support/child-process.ts'
import { cpuSeconds } from '../support/processes.ts'
import { onStage, spawnServe } from '../support/stage.ts'

export const startUp = defineBench({
  name: 'start-up',
  about: 'ism serve until it listens, on a migrated database, against node -e 0',
  settings: { rounds: { full: 15, small: 2, doc: 'turns of the sides' } },
  targets: {
    ratio: { what: 'ism serve until it listens', against: 'node -e 0', bound: 'at most', value: 8, unit: '×' },
  },
  run: ({ settings }) =>
    onStage(async (stage) => {
      const file = await stage.configure('ism')
      const ism: number[] = []
      const cpu: number[] = []
      const node: number[] = []
      for (let round = -1; round < settings.rounds; round++) {
        const started = performance.now()
        const { child } = await spawnServe(file, [])
        const listening = performance.now() - started
        const used = cpuSeconds(child.pid ?? 0) * 1_000
        await endProcess(child)
        const nothing = await timeOfNothing()
        // The first one warms the caches of the file system.
        if (round < 0) continue
        ism.push(listening)
        cpu.push(used)
        node.push(nothing)
      }
      return {
        tables: [
          {
            title: 'Start',
            labels: [''],
            columns: [
              { head: 'ms', digits: 0 },
              { head: 'CPU ms', digits: 0 },
            ],
            rows: [
              { labels: ['ism serve'], values: [ism, cpu] },
              { labels: ['node -e 0'], values: [node, undefined] },
            ],
          },
        ],
        reached: { ratio: ratios(ism, node) },
        charts: [
          {
            name: 'start-up',
            title: 'From the command to the end of the start',
            unit: 'ms',
            bars: [
              { label: 'ism serve', side: 'ISM', series: ism },
              { label: 'node -e 0', side: 'Node', series: node },
            ],
          },
        ],
      }
    }),
})

async function timeOfNothing(): Promise<number> {
  const started = performance.now()
  const child = startProcess(process.execPath, ['-e', '0'], { stdio: 'ignore' })
  await new Promise((resolve) => child.once('exit', resolve))
  return performance.now() - started
}
