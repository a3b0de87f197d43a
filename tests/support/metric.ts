/** One of a node's metrics, by its labels. */
import type { TestIsm } from './ism.ts'

type Metric = { name: string; values: { value: number; labels: Record<string, string> }[] }

/** 0 where nothing was counted. */
export async function metricOf(
  { app }: Pick<TestIsm, 'app'>,
  name: string,
  labels: Record<string, string>,
): Promise<number> {
  const metric = ((await app.metrics()) as Metric[]).find((each) => each.name === name)
  const found = metric?.values.find((each) =>
    Object.entries(labels).every(([label, value]) => each.labels[label] === value),
  )
  return found?.value ?? 0
}
