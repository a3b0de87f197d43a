/** Examples of the documentation, run as a reader would: TypeScript, Python and shell, out of the Markdown. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { eventually } from './eventually.ts'
import { TestProcess } from './test-process.ts'

export type Language = 'ts' | 'python' | 'sh'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const TSX = join(ROOT, 'node_modules/tsx/dist/cli.mjs')
const PROGRAMS: Record<Language, [program: string, parameters: string[], file: string]> = {
  ts: [process.execPath, [TSX, 'example.ts'], 'example.ts'],
  python: ['python3', ['example.py'], 'example.py'],
  sh: ['sh', ['-e', 'example.sh'], 'example.sh'],
}
/** What a shell example uses. */
const TOOLS = ['curl', 'openssl', 'base64', 'od']

/** Whether this machine has what an example needs. @param modules of Python's, beyond its own */
export function canRun(language: Language, ...modules: string[]): boolean {
  const works = (program: string, ...parameters: string[]) => spawnSync(program, parameters).status === 0
  if (language === 'python')
    return works('python3', '-c', ['import json', ...modules.map((m) => `import ${m}`)].join('\n'))
  return language === 'ts' || TOOLS.every((tool) => works('sh', '-c', `command -v ${tool}`))
}

/** The code blocks of a document in `docs/`. */
export async function examplesOf(document: string, language: Language): Promise<string[]> {
  const text = await readFile(join(ROOT, 'docs', document), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, code]) => code as string)
}

/** The only code block that has this text. */
export async function exampleWith(document: string, language: Language, text: string): Promise<string> {
  const found = (await examplesOf(document, language)).filter((code) => code.includes(text))
  if (found.length !== 1) throw new Error(`${document} has ${found.length} examples in ${language} with "${text}"`)
  return found[0] as string
}

/** Ends with the test. */
export async function startExample(
  language: Language,
  code: string,
  variables: Record<string, string> = {},
): Promise<TestProcess> {
  const [program, parameters, file] = PROGRAMS[language]
  const directory = await mkdtemp(join(tmpdir(), 'ism-example-'))
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
  await writeFile(join(directory, file), code)
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, ...variables }
  const started = new TestProcess(program, parameters, { cwd: directory, env })
  onTestFinished(async () => {
    await started.end()
    await rm(directory, { recursive: true, force: true })
  })
  return started
}

/** @returns what it printed; rejects where it failed */
export async function runExample(...parameters: Parameters<typeof startExample>): Promise<string> {
  const example = await startExample(...parameters)
  const { code } = await example.exited
  if (code !== 0) throw new Error(`the example ended with ${code}: ${example.output}`)
  return example.stdout
}

/** One that listens on `port`. */
export async function startReceiver(
  port: number,
  ...parameters: Parameters<typeof startExample>
): Promise<TestProcess> {
  const receiver = await startExample(...parameters)
  await eventually(`it listens: ${receiver.output}`, () => takesConnections(port), 15_000)
  return receiver
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
