import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** The suites that need servers beside ISM's own PostgreSQL; some of them stop one, so a file runs at a time. */
export default defineConfig({
  test: {
    ...base.test,
    include: ['tests/services/**/*.test.ts'],
    exclude: [],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
