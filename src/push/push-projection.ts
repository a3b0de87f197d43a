/** The push projection of one target: from the log's pages to what is handed over, in bounded memory. */
import type { BackOff } from '../deliveries/back-off.ts'
import { insertDeadDeliveries } from '../deliveries/dead-delivery-repository.ts'
import type { Queryable } from '../infra/postgres.ts'
import { eventJson } from '../log/event-json.ts'
import type { Projection } from '../log/projector.ts'
import { Audience } from './audience.ts'
import { Coverage, type CoverageObserver, type Decided } from './coverage.ts'
import { MAX_USERS, type Push, pushJson } from './push.ts'
import { PushQueue, type PushQueueObserver } from './push-queue.ts'
import type { PushTarget } from './push-target.ts'

export type PushObserver = PushQueueObserver & CoverageObserver

export type PushOptions = {
  epoch: string
  maxAgeMs: number
  /** What this node is called where nodes tell each other who is connected to them. */
  holder: string
  backOff?: BackOff
}

/** Its projector, which is made with the projection and so after it. */
export type PushDriver = { isHolder: boolean; wake(): void }

export type PushProjection = Projection & {
  drivenBy(driver: PushDriver): void
  /** Rejects where the target does not take what it is sent. */
  check(): Promise<void>
}

const GATHER_MS = 250

export function createPushProjection(
  db: Queryable,
  target: PushTarget,
  { epoch, maxAgeMs, holder, ...more }: PushOptions,
  observe: PushObserver,
): PushProjection {
  let driver: PushDriver | undefined
  let stopped: Promise<void> | undefined
  const audience = new Audience(db)
  const coverage = new Coverage(
    db,
    holder,
    (decided) => queue.add(decided.flatMap((each) => pushesOf(each, epoch))),
    observe,
  )
  const queue = new PushQueue(
    target,
    {
      ...more,
      maxAgeMs,
      now: () => coverage.now(),
      mayDeliver: () => driver?.isHolder === true,
      bury: (dead) =>
        insertDeadDeliveries(
          db,
          dead.map(({ push, reason }) => deadOf(target.name, push, reason)),
        ),
      drained: () => driver?.wake(),
    },
    observe,
  )
  async function stop(): Promise<void> {
    coverage.stop()
    await queue.stop()
    await target.close()
  }

  return {
    name: target.name,
    begins: 'head',
    gatherMilliseconds: GATHER_MS,
    drivenBy(given) {
      driver = given
    },
    async check() {
      if (queue.trouble !== undefined) throw new Error(queue.trouble)
    },
    async apply(events) {
      await coverage.ask(await audience.of(events))
    },
    underWay: {
      doneUpTo: () => Math.min(coverage.oldestSeq, queue.oldestSeq) - 1,
      isFull: () => coverage.isFull || queue.isFull,
      abandon() {
        audience.forget()
        coverage.forget()
        queue.abandon()
      },
      stop() {
        stopped ??= stop()
        return stopped
      },
    },
  }
}

/** As everybody sees it but its sender, who gets none. */
function pushesOf({ event, users }: Decided, epoch: string): Push[] {
  const notification = eventJson(event, epoch, false)
  const loggedAt = event.loggedAt.getTime()
  if (users.length <= MAX_USERS) return [{ seq: event.seq, loggedAt, users, notification, attempts: 0 }]
  const pushes: Push[] = []
  for (let from = 0; from < users.length; from += MAX_USERS)
    pushes.push({ seq: event.seq, loggedAt, users: users.slice(from, from + MAX_USERS), notification, attempts: 0 })
  return pushes
}

function deadOf(target: string, push: Push, reason: string) {
  return { target, seq: push.seq, payload: pushJson(push), reason, attempts: push.attempts }
}
