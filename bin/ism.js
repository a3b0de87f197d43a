#!/usr/bin/env node
/** Runs ISM's command line, built first where this is a checkout. */
import { ensureBuilt } from './build.js'

await ensureBuilt()
const { runProcess } = await import('../dist/cli/main.js')
process.exit(await runProcess())
