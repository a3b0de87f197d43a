import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

const cassandra = process.env['ISM_TEST_CASSANDRA']

const inTurn = (groupOrder: number) => ({ fileParallelism: false, maxWorkers: 1, sequence: { groupOrder } })

/** The suites that need servers beside ISM's own PostgreSQL; some of them stop one, so a file runs at a time. */
export default defineConfig({
  test: {
    maxWorkers: 1,
    projects: [
      {
        test: {
          ...base.test,
          ...inTurn(1),
          name: 'services',
          include: ['tests/services/**/*.test.ts'],
          exclude: [],
        },
      },
      {
        // The calls once more, with messages in Cassandra; without one the suites above say so.
        test: {
          ...base.test,
          ...inTurn(2),
          name: 'calls on Cassandra',
          include: cassandra ? ['tests/api/**/*.test.ts'] : [],
          // What is PostgreSQL's alone: its outages, its statements, its schema.
          exclude: ['database-outage', 'queries', 'migrations'].map((name) => `tests/api/${name}.test.ts`),
          globalSetup: ['tests/support/global-setup.ts', 'tests/support/keyspace-setup.ts'],
        },
      },
    ],
  },
})
