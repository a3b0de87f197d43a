/** What the primary process of `ism serve --workers` and its workers say to each other. */
import type { Config } from '../config/config.ts'
import type { MetricsSnapshot } from '../observability/scrape.ts'

export type Address = { host: string; port: number }

export type ToWorker =
  | { kind: 'run'; config: Config }
  | { kind: 'stop' }
  /** Answered with a pong, unless the worker hangs. */
  | { kind: 'ping' }
  /** A worker's metrics are wanted. */
  | { kind: 'snapshot'; id: number }
  /** The sum that the worker asked for. */
  | { kind: 'sum'; id: number; text: string }

export type FromWorker =
  /** It listens for messages. */
  | { kind: 'ready' }
  | { kind: 'pong' }
  | { kind: 'listening'; address: Address }
  /** It could not start, and ends. */
  | { kind: 'failed'; message: string; stack: string | undefined }
  | { kind: 'snapshot'; id: number; metrics: MetricsSnapshot }
  | { kind: 'sum'; id: number }
