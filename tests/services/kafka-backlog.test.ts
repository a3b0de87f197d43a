/** A backlog drains in memory that does not depend on its length. */
import { readFile } from 'node:fs/promises'
import { expect, it, onTestFinished } from 'vitest'
import { Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { describeWith } from '../support/services.ts'
import { endProcesses } from '../support/test-process.ts'
import { kafkaConfig, kafkaSections, Topic } from '../support/topic.ts'

const RECORDS = 100_000
/** Node takes some 150 of them, the log in memory 64. All records at once would make 700. */
const MOST_MIB = 512

describeWith(['ISM_TEST_KAFKA'], 'a backlog of 100,000 notifications', ({ ISM_TEST_KAFKA: address }) => {
  it('of a kilobyte each, compressed, drains in bounded memory, each once', async () => {
    const topic = await Topic.create(kafkaConfig(address), 4, { 'compression.type': 'zstd' })
    const service = await Service.create(undefined, { sections: kafkaSections(topic.config) })
    onTestFinished(async () => {
      await endProcesses()
      await service.close()
      await topic.drop()
    })
    const node = await service.node()
    const [alice] = (await service.people(1, [node])) as [Person]
    await node.kill('SIGTERM')
    for (let from = 0; from < RECORDS; from += 10_000) {
      const numbers = Array.from({ length: 10_000 }, (_, k) => from + k)
      await topic.write(numbers.map((n) => ({ toUsers: [alice.id], message: { n, text: textOf(n) } })))
    }
    await node.restart()
    await topic.drained(300_000)
    const { rows } = await service.sql.query(
      `select count(*)::int, count(distinct body::jsonb -> 'message' -> 'n')::int as distinct from event where type = 8`,
    )
    expect(rows).toEqual([{ count: RECORDS, distinct: RECORDS }])
    expect(await peakMib(node.process.pid)).toBeLessThan(MOST_MIB)
  }, 400_000)
})

/** As compressible as prose is, and another one for each. */
function textOf(seed: number): string {
  const words = ['an', 'order', 'has', 'been', 'paid', 'by', 'card', 'and', 'leaves', 'the', 'house', 'tomorrow']
  let state = seed + 1
  return Array.from({ length: 190 }, () => {
    state = (state * 48_271) % 2_147_483_647
    return words[state % words.length]
  }).join(' ')
}

/** proc(5): the most that was ever resident. */
async function peakMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024
}
