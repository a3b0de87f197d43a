/** What a chaos run says of its nodes, and how its summary ends. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FAULTS, Findings } from '../chaos/findings.ts'
import { isClean, resultTable } from '../chaos/report.ts'
import type { State } from '../chaos/run.ts'
import { NodeVictim } from '../chaos/victims.ts'
import { eventually } from '../support/eventually.ts'
import type { IsmNode } from '../support/node.ts'
import { endProcesses, TestProcess } from '../support/test-process.ts'

const ERROR = { level: 50, msg: 'a projection failed', err: { message: 'connect ECONNREFUSED 127.0.0.1:5432' } }
const LOG = [
  { level: 30, msg: 'listening' },
  ERROR,
  { ...ERROR, err: { message: 'connect ECONNREFUSED 127.0.0.1:5433' } },
]
const PROGRAM = `process.stdout.write(${JSON.stringify(LOG.map((line) => `${JSON.stringify(line)}\n`).join(''))})
setInterval(() => {}, 1_000)`

let findings: Findings
let node: { process: TestProcess; restart(): Promise<void> }
let victim: NodeVictim
beforeEach(async () => {
  findings = new Findings()
  const start = () => new TestProcess(process.execPath, ['-e', PROGRAM])
  node = {
    process: start(),
    async restart() {
      this.process = start()
    },
  }
  victim = new NodeVictim(node as unknown as IsmNode, findings)
  await node.process.until('its log', (output) => output.split('\n').length > LOG.length)
})
afterEach(async () => {
  victim.release()
  await endProcesses()
})

test('a node that the run kills is no finding, one that somebody else kills is', async () => {
  const first = node.process
  await victim.kill()
  await eventually('another process', async () => node.process !== first)
  expect(findings.total).toBe(0)
  const second = node.process
  await second.kill('SIGKILL')
  await eventually('another process', async () => node.process !== second)
  expect(findings.examples).toEqual([expect.stringContaining('unexpected: a node ended with SIGKILL')])
})

test('errors in the logs of all processes of a node are counted by message, whatever numbers they name', async () => {
  const first = node.process
  await victim.kill()
  await eventually('another process', async () => node.process !== first)
  await node.process.until('its log', (output) => output.split('\n').length > LOG.length)
  expect([...victim.errors]).toEqual([['a projection failed (connect ECONNREFUSED ….….….…:…)', 4]])
})

test('the summary ends with what was sent, delivered and wrong; errors in logs alone are no fault', () => {
  const tally = { sends: 5, answered: 4, delivered: 9, resyncs: 0, timelines: 0, connections: 0 }
  const options = { nodes: 1, readers: 4, kills: 20, minutes: 1, seed: 1 }
  const state: State = {
    phase: 'judging',
    ...{ options, tally, findings, seconds: 1, rooms: 0, devices: 0, kills: 0, slowStops: 0, startsGivenUp: 0 },
    ...{ deeds: undefined, plan: undefined, errors: victim.errors },
  }
  expect(isClean(state)).toBe(true)
  const rows = resultTable(state).trim().split('\n').slice(0, -1)
  const names = rows.map((row) => row.split('│')[1]?.trim())
  expect(names.slice(-2 - FAULTS.length)).toEqual(['sent and answered', 'delivered', ...FAULTS])
  expect(resultTable(state)).toContain('2 times: a projection failed')
})
