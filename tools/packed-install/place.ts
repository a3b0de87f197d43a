/** Where the packed ISM is installed and run: an empty directory of an unprivileged user's. */
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { endProcesses, TestProcess } from '../../tests/support/test-process.ts'

export type Place = {
  /** Who owns it and runs what runs in it, in words. */
  user: string
  /** Where packages arrive. */
  directory: string
  /** The directory that is installed into. */
  program: string
  /** A program of the package's, run in the working directory that has the configuration. */
  start(program: string, parameters: string[]): TestProcess
  install(archive: string): TestProcess
  configure(text: string): Promise<void>
  makeReadOnly(): Promise<void>
  remove(): Promise<void>
}

/** Linux's `nobody`: nothing belongs to it, and there need be no such name. */
const NOBODY = 65_534

export async function makePlace(): Promise<Place> {
  const uid = process.getuid?.() === 0 ? NOBODY : undefined
  const owner = uid === undefined ? {} : { uid, gid: uid }
  const directory = await mkdtemp(join(tmpdir(), 'ism-packed-'))
  await chmod(directory, 0o755)
  const [program, site, home] = [join(directory, 'program'), join(directory, 'site'), join(directory, 'home')]
  for (const path of [program, site, home]) {
    await mkdir(path)
    await own(path)
  }
  const env = { ...environment(), HOME: home }

  async function own(path: string): Promise<void> {
    if (uid !== undefined) await chown(path, uid, uid)
  }

  const setMode = (mode: string) => promisify(execFile)('chmod', ['-R', mode, program, site])

  return {
    user: `user ${uid ?? `${process.getuid?.()}, as this is`}`,
    directory,
    program,
    start: (command, parameters) => new TestProcess(command, parameters, { ...owner, cwd: site, env }),
    install(archive) {
      const parameters = ['install', '--omit=dev', '--no-audit', '--no-fund', archive]
      return new TestProcess('npm', parameters, { ...owner, cwd: program, env })
    },
    async configure(text) {
      const file = join(site, 'production.config.toml')
      await writeFile(file, text, { mode: 0o600 })
      await own(file)
    },
    async makeReadOnly() {
      await setMode('a-w')
    },
    async remove() {
      await endProcesses()
      await setMode('u+w')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** This process's environment, without what configures ISM and what `npm run` adds. */
export function environment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(ISM_|npm_|INIT_CWD$|NODE_OPTIONS$|NODE_ENV$)/.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}
