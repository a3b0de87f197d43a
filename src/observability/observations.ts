/** What is worth knowing about ISM at work: one function a fact, which feeds the log, the metrics, or both. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Logger } from './logger.ts'

type ProjectionRead = { name: string; seq: number; headSeq: number; lagSeconds: number; brokenAt: Date | null }

export type Observations = ReturnType<typeof createObservations>

/** Streams that are this late are worth a line. */
const TAIL_LATE_SECONDS = 5
const SAY_AGAIN_MS = 30_000
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export function createObservations(logger: Logger) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const metrics = createMetrics(registry)
  let tailLateSaid = Number.NEGATIVE_INFINITY
  const lastWarned = new Map<string, number>()

  /** A store that is down fails every call; once in five seconds is enough to say so. */
  function warnSeldom(error: unknown, message: string): void {
    const now = performance.now()
    if (now - (lastWarned.get(message) ?? Number.NEGATIVE_INFINITY) < 5_000) return
    lastWarned.set(message, now)
    logger.warn({ err: error }, message)
  }

  /** The same of each of several receivers. */
  function sayOfReceiver(webhook: string, reason: string, message: string): void {
    const key = `${message} ${webhook}`
    const now = performance.now()
    if (now - (lastWarned.get(key) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return
    lastWarned.set(key, now)
    logger.warn({ webhook, reason }, message)
  }

  return {
    registry,

    requestFinished(method: string, route: string, status: number, milliseconds: number): void {
      metrics.requests.observe({ method, route, status: String(status) }, milliseconds / 1_000)
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
      logger.error({ err: error, projection: name }, 'a projection failed: trying again')
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
      sayOfReceiver(name, reason, 'a receiver refused an event: trying again')
    },
    webhookUnanswered(name: string, reason: string): void {
      metrics.webhookDeliveries.inc({ name, outcome: 'unanswered' })
      sayOfReceiver(name, reason, 'a receiver takes no events: trying again until it does')
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
      logger.warn({ target, seq, attempts, reason }, 'a push was refused: trying again')
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
    framesWritten(count: number): void {
      metrics.frames.inc(count)
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

function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    requests: new Histogram({
      name: 'ism_http_request_duration_seconds',
      help: 'Time to answer, by method, route and status; for a stream, its whole life.',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
      registers,
    }),
    queries: new Counter({
      name: 'ism_postgres_queries_total',
      help: 'Statements sent to PostgreSQL, by name.',
      labelNames: ['name'],
      registers,
    }),
    batchSize: new Histogram({
      name: 'ism_append_batch_size',
      help: 'Sends appended to the log by one call.',
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
      registers,
    }),
    appendWait: new Histogram({
      name: 'ism_append_wait_seconds',
      help: "Time that a batch's oldest send waited for it to start.",
      buckets: SECONDS,
      registers,
    }),
    appendCommit: new Histogram({
      name: 'ism_append_commit_seconds',
      help: 'Time from sending a batch to PostgreSQL to its commit, the wait for the lock included.',
      buckets: SECONDS,
      registers,
    }),
    tailEvents: new Counter({ name: 'ism_tail_events_total', help: 'Events read from the log.', registers }),
    tailPosition: new Gauge({
      name: 'ism_tail_position',
      help: 'seq of the newest event read.',
      aggregator: 'min',
      registers,
    }),
    tailLag: new Gauge({
      name: 'ism_tail_lag',
      help: "How far the tail is behind the log's head, in seq.",
      aggregator: 'max',
      registers,
    }),
    tailLagSeconds: new Gauge({
      name: 'ism_tail_lag_seconds',
      help: 'For how long the next event has waited for the tail.',
      aggregator: 'max',
      registers,
    }),
    projectionEvents: new Counter({
      name: 'ism_projection_events_total',
      help: 'Events that this node worked off, by projection.',
      labelNames: ['name'],
      registers,
    }),
    projectionLag: new Gauge({
      name: 'ism_projection_lag',
      help: "How far a projection is behind the log's head, in seq.",
      labelNames: ['name'],
      aggregator: 'max',
      registers,
    }),
    projectionLagSeconds: new Gauge({
      name: 'ism_projection_lag_seconds',
      help: "For how long a projection's next event has waited.",
      labelNames: ['name'],
      aggregator: 'max',
      registers,
    }),
    webhookDeliveries: new Counter({
      name: 'ism_webhook_deliveries_total',
      help: 'Attempts to post an event to a receiver, by what came of them; dead is one that was the last.',
      labelNames: ['name', 'outcome'],
      registers,
    }),
    projectionBroken: new Gauge({
      name: 'ism_projection_broken',
      help: '1 where a projection stands still because events that it had not had are gone from the log.',
      labelNames: ['name'],
      aggregator: 'max',
      registers,
    }),
    pushes: new Counter({
      name: 'ism_pushes_total',
      help: 'Pushes by what became of them, and tries that were refused or not answered, by target.',
      labelNames: ['target', 'outcome'],
      registers,
    }),
    deadDeliveries: new Gauge({
      name: 'ism_dead_deliveries',
      help: 'Deliveries that were given up and are kept, by target.',
      labelNames: ['target'],
      aggregator: 'max',
      registers,
    }),
    streams: new Gauge({ name: 'ism_streams', help: 'Open streams on this node.', registers }),
    streamOverflows: new Counter({
      name: 'ism_stream_overflows_total',
      help: 'Streams closed because their reader did not read.',
      registers,
    }),
    kafkaRecords: new Counter({
      name: 'ism_kafka_records_total',
      help: 'Records read from Kafka, by what became of them.',
      labelNames: ['outcome'],
      registers,
    }),
    kafkaLag: new Gauge({
      name: 'ism_kafka_lag',
      help: 'Records that are still to be read, by partition; of the partitions that this node reads.',
      labelNames: ['partition'],
      registers,
    }),
    frames: new Counter({ name: 'ism_stream_frames_total', help: 'Frames written to streams.', registers }),
  }
}
