/** What is worth knowing about ISM at work: one function a fact, which feeds the log, the metrics, or both. */
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Logger } from './logger.ts'
import { createMetrics } from './metrics.ts'

type ProjectionRead = { name: string; seq: number; headSeq: number; lagSeconds: number; brokenAt: Date | null }

export type Observations = ReturnType<typeof createObservations>

/** Streams that are this late are worth a line. */
const TAIL_LATE_SECONDS = 5
const SAY_AGAIN_MS = 30_000
const STORE_DOWN_AGAIN_MS = 5_000

export function createObservations(logger: Logger) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const metrics = createMetrics(registry)
  let tailLateSaid = Number.NEGATIVE_INFINITY
  const lastWarned = new Map<string, number>()
  /** Finding a histogram by its labels costs more than observing. */
  const requestTimers = new Map<string, ReturnType<typeof metrics.requests.labels>>()

  function isDue(key: string, everyMs: number): boolean {
    const now = performance.now()
    if (now - (lastWarned.get(key) ?? Number.NEGATIVE_INFINITY) < everyMs) return false
    lastWarned.set(key, now)
    return true
  }

  /** A store that is down fails every call. */
  function warnSeldom(error: unknown, message: string): void {
    if (isDue(message, STORE_DOWN_AGAIN_MS)) logger.warn({ err: error }, message)
  }

  /** The same of each of several, which are down for hours. */
  function saySeldom(level: 'warn' | 'error', name: string, fields: object, message: string): void {
    if (isDue(`${message} ${name}`, SAY_AGAIN_MS)) logger[level](fields, message)
  }

  return {
    registry,

    requestFinished(method: string, route: string, status: number, milliseconds: number): void {
      const key = `${method} ${route} ${status}`
      let timer = requestTimers.get(key)
      if (!timer) {
        timer = metrics.requests.labels({ method, route, status: String(status) })
        requestTimers.set(key, timer)
      }
      timer.observe(milliseconds / 1_000)
    },
    queryStarted(name: string): void {
      metrics.queries.inc({ name })
    },
    connectionFailed(error: Error): void {
      warnSeldom(error, 'a database connection failed')
    },
    listenerFailed(error: Error): void {
      warnSeldom(error, 'wake-ups are interrupted: polling until they are back')
    },
    redisFailed(error: Error): void {
      warnSeldom(error, 'Redis does not answer: PostgreSQL wakes alone until it does')
    },
    batchAppended(sends: number, waitMs: number, commitMs: number): void {
      metrics.batchSize.observe(sends)
      metrics.appendWait.observe(waitMs / 1_000)
      metrics.appendCommit.observe(commitMs / 1_000)
    },
    tailRead(events: number, position: number): void {
      metrics.tailEvents.inc(events)
      metrics.tailPosition.set(position)
    },
    tailFailed(error: unknown): void {
      warnSeldom(error, 'the log could not be read: trying again')
    },
    tailLagged({ events, seconds }: { events: number; seconds: number }): void {
      metrics.tailLag.set(events)
      metrics.tailLagSeconds.set(seconds)
      if (seconds > TAIL_LATE_SECONDS) {
        const now = performance.now()
        if (now - tailLateSaid < SAY_AGAIN_MS) return
        tailLateSaid = now
        logger.warn({ events, seconds: Math.round(seconds) }, 'the tail is behind the log')
      } else if (tailLateSaid > Number.NEGATIVE_INFINITY && events === 0) {
        tailLateSaid = Number.NEGATIVE_INFINITY
        logger.info('the tail has caught up with the log')
      }
    },
    presenceFailed(error: unknown): void {
      warnSeldom(error, 'who is connected here could not be told: trying again')
    },
    logReplaced(error: Error): void {
      logger.fatal({ err: error }, 'this is no longer the log that was being read')
    },
    projected(name: string, events: number, seq: number): void {
      metrics.projectionEvents.inc({ name }, events)
      logger.debug({ projection: name, events, seq }, 'projected')
    },
    projectionFailed(name: string, error: unknown): void {
      saySeldom('error', name, { err: error, projection: name }, 'a projection failed: trying again')
    },
    projectionsRead(projections: ProjectionRead[]): void {
      for (const { name, seq, headSeq, lagSeconds, brokenAt } of projections) {
        metrics.projectionBroken.set({ name }, brokenAt === null ? 0 : 1)
        metrics.projectionLag.set({ name }, headSeq - seq)
        metrics.projectionLagSeconds.set({ name }, lagSeconds)
      }
    },
    webhookDelivered(name: string): void {
      metrics.webhookDeliveries.inc({ name, outcome: 'delivered' })
    },
    webhookRefused(name: string, reason: string): void {
      metrics.webhookDeliveries.inc({ name, outcome: 'refused' })
      saySeldom('warn', name, { webhook: name, reason }, 'a receiver refused an event: trying again')
    },
    webhookUnanswered(name: string, reason: string): void {
      metrics.webhookDeliveries.inc({ name, outcome: 'unanswered' })
      saySeldom('warn', name, { webhook: name, reason }, 'a receiver takes no events: trying again until it does')
    },
    webhookDied(name: string, seq: number, reason: string): void {
      metrics.webhookDeliveries.inc({ name, outcome: 'dead' })
      logger.error({ webhook: name, seq, reason }, 'a receiver refused an event for good: it is put aside')
    },
    projectionsBroken(names: string[]): void {
      for (const name of names)
        logger.error(
          { projection: name },
          `events that it had not had yet are gone from the log: it stands still until "ism resume ${name}"`,
        )
    },
    pushed(target: string, pushes: number): void {
      metrics.pushes.inc({ target, outcome: 'delivered' }, pushes)
    },
    pushRefused(target: string, { seq, attempts }: { seq: number; attempts: number }, reason: string): void {
      metrics.pushes.inc({ target, outcome: 'refused' })
      saySeldom('warn', target, { target, seq, attempts, reason }, 'a push was refused: trying again')
    },
    pushUnanswered(target: string, reason: string, retryMs: number): void {
      metrics.pushes.inc({ target, outcome: 'unanswered' })
      logger.warn({ target, reason, retryMs: Math.round(retryMs) }, 'pushes are not taken: trying again')
    },
    pushesDied(target: string, count: number, reason: string): void {
      metrics.pushes.inc({ target, outcome: 'dead' }, count)
      logger.error({ target, count, reason }, 'pushes were given up: "ism push retry" delivers them')
    },
    coverageFailed(error: unknown): void {
      warnSeldom(error, 'who gets a push could not be decided: trying again')
    },
    deadDeliveriesRead(dead: { target: string; count: number }[]): void {
      metrics.deadDeliveries.reset()
      for (const { target, count } of dead) metrics.deadDeliveries.set({ target }, count)
    },
    maintenanceFailed(task: string, error: unknown): void {
      logger.error({ err: error, task }, 'maintenance failed: trying again in a minute')
    },
    partitionsDropped(count: number): void {
      if (count > 0) logger.info({ count }, 'dropped expired partitions of the log')
    },
    streamOpened(): void {
      metrics.streams.inc()
    },
    streamClosed(): void {
      metrics.streams.dec()
    },
    streamOverflowed(userId: string): void {
      metrics.streamOverflows.inc()
      logger.info({ userId }, 'a stream whose reader does not read was closed')
    },
    streamFailed(error: unknown): void {
      metrics.streamFailures.inc()
      warnSeldom(error, 'a stream could not be opened: its client tries again')
    },
    framesWritten(count: number): void {
      metrics.frames.inc(count)
    },
    deliveryFailed(error: unknown): void {
      logger.error({ err: error }, 'an event could not be delivered: all streams were ended, and resume')
    },
    kafkaJoined(partitions: number[]): void {
      metrics.kafkaLag.reset()
      logger.info({ partitions }, 'reading notifications from Kafka')
    },
    kafkaFailed(reason: string): void {
      logger.warn({ reason }, 'notifications are not read from Kafka: trying again')
    },
    kafkaLag(partition: number, records: number): void {
      metrics.kafkaLag.set({ partition: String(partition) }, records)
    },
    recordsTaken(outcome: string, count: number): void {
      metrics.kafkaRecords.inc({ outcome }, count)
      if (outcome === 'skipped') logger.warn({ count }, "records that look like ISM 0.7.9's pushes were skipped")
    },
    usersUnknown(notificationId: string, users: string[]): void {
      const [count, some] = [users.length, users.slice(0, 10)]
      logger.warn({ notificationId, count, users: some }, 'a notification names users that are not known')
    },
    recordRejected(place: object, reason: string): void {
      logger.warn({ ...place, reason }, 'a record is no notification that can be sent')
    },
    deadLetterLost(place: object, reason: string): void {
      logger.error({ ...place, reason }, 'a record could not be put aside: it is left where it was, and not sent')
    },
  }
}
