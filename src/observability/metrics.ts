/** The metrics of ISM: their names, what they count, and by what they are told apart. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export function createMetrics(registry: Registry) {
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
    streamFailures: new Counter({
      name: 'ism_stream_failures_total',
      help: 'Streams that could not be opened, though whoever asked for them may have one.',
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
