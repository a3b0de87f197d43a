/** /metrics: one process's own text, or the sum of several. */
import { AggregatorRegistry, Registry } from 'prom-client'

/** All of a process's metrics at one moment. */
export type MetricsSnapshot = object[]

/** Answers /metrics. */
export type Scrape = () => Promise<string>

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** Counters and histograms are added up, and so are gauges but those that name another `aggregator`. */
export function sumOf(snapshots: MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate(snapshots).metrics()
}
