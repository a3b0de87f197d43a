/** Compiles `src/` to `dist/` where that is due: at install and packing, and when a checkout is run with newer sources. */
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const SOURCES = join(ROOT, 'src')
const OUTPUT = join(ROOT, 'dist')
/** Made last: without it a build was not finished. It is as old as the newest source of that build. */
const STAMP = join(OUTPUT, '.built')
const LOCK = join(OUTPUT, '.lock')
/** No build takes this long; its process may have been of another container, where its id says nothing. */
const LOCK_LIFETIME_MS = 120_000

/** Leaves `dist/` up to date, or ends the process with a line that says why it cannot. */
export async function ensureBuilt() {
  if (!existsSync(SOURCES) || isFresh()) return requireOutput()
  const compiler = findCompiler()
  if (compiler === undefined) return requireOutput()
  await withLock(async () => {
    if (isFresh()) return
    say('building dist/ from src/, once')
    await compile(compiler)
  })
}

function requireOutput() {
  if (existsSync(join(OUTPUT, 'cli', 'main.js'))) return
  fail('there is no dist/ and no TypeScript to build it: run npm ci in the checkout, or install the packed ISM')
}

function isFresh() {
  const built = statSync(STAMP, { throwIfNoEntry: false })
  return built !== undefined && newestSource() <= built.mtimeMs
}

/** Directories count too: removing a file changes only the directory that it was in. */
function newestSource() {
  const entries = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).map((entry) => join(SOURCES, entry))
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package.json'].map((name) => join(ROOT, name))
  const times = [SOURCES, ...entries, ...settings].map(
    (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  )
  return Math.max(...times)
}

function findCompiler() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  } catch {
    return undefined
  }
}

async function compile(compiler) {
  const newest = newestSource()
  rmSync(STAMP, { force: true })
  const code = await run(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--noEmitOnError'])
  if (code !== 0) fail('src/ does not compile')
  removeOrphans()
  writeFileSync(STAMP, '')
  // A file system may cut off parts of a millisecond.
  const time = new Date(Math.ceil(newest) + 1)
  utimesSync(STAMP, time, time)
}

/** What was compiled from a source that is gone. */
function removeOrphans() {
  for (const entry of readdirSync(OUTPUT, { recursive: true, encoding: 'utf8' })) {
    const source = join(SOURCES, entry.replace(/\.js(\.map)?$/, '.ts'))
    if (/\.js(\.map)?$/.test(entry) && !existsSync(source)) rmSync(join(OUTPUT, entry))
  }
}

function run(command, parameters) {
  return new Promise((resolve, reject) => {
    // The compiler's findings belong with the other complaints: standard output is for what a command answers.
    const child = spawn(command, parameters, { cwd: ROOT, stdio: ['ignore', process.stderr, process.stderr] })
    child.once('error', reject)
    child.once('close', resolve)
  })
}

async function withLock(work) {
  mkdirSync(OUTPUT, { recursive: true })
  while (!tryLock()) {
    if (isAbandoned()) rmSync(LOCK, { force: true })
    else await sleep(100)
  }
  const unlock = () => rmSync(LOCK, { force: true })
  process.once('exit', unlock)
  try {
    await work()
  } finally {
    process.off('exit', unlock)
    unlock()
  }
}

function tryLock() {
  try {
    writeFileSync(LOCK, `${process.pid}`, { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    return fail(`cannot build in ${OUTPUT} (${error.code})`)
  }
}

function isAbandoned() {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'))
    if (Date.now() - statSync(LOCK).mtimeMs > LOCK_LIFETIME_MS) return true
    if (pid > 0) process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

const say = (line) => process.stderr.write(`ism: ${line}\n`)

function fail(line) {
  say(line)
  process.exit(1)
}

async function buildForNpm() {
  if (!existsSync(SOURCES)) return
  // An install without development dependencies has no compiler: that is no failure, there may be a dist/ already.
  if (findCompiler() === undefined) say('TypeScript is not installed: dist/ is left as it is')
  else await ensureBuilt()
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  await buildForNpm()
