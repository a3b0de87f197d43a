/** Where pushes go. */
import type { Answer } from '../deliveries/answer.ts'
import type { Push } from './push.ts'

export interface PushTarget {
  /** 'push:kafka' or 'push:http': what its projection and its dead pushes are called. */
  readonly name: string
  /** Of one batch; a single push may be larger. */
  readonly maxPushes: number
  readonly maxBytes: number
  /** In their order. Never rejects; what came of it is unknown where `signal` ended it. */
  send(pushes: Push[], signal: AbortSignal): Promise<Answer>
  close(): Promise<void>
}
