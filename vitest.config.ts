import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    exclude: ['tests/services/**'],
    globalSetup: ['tests/support/global-setup.ts'],
    // Whoever waits in vain gives up sooner, and says for what; a test may have several processes to start on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 3,
    // Each file has an ISM and a database of its own; loading the modules anew for each would cost a second a file.
    isolate: false,
  },
})
