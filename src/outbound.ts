/** What goes out of the log to others, pushes and webhooks: a projection for each place that it goes to. */
import type { Config } from './config/config.ts'
import type { Database } from './infra/postgres.ts'
import type { Projection, Projector } from './log/projector.ts'
import type { Tail } from './log/tail.ts'
import type { Observations } from './observability/observations.ts'
import type { PushProjection } from './push/push-projection.ts'
import { openPushTargets } from './stores.ts'

type Log = {
  tail: Tail
  /** Has the projection worked at, by whichever node has its lease. */
  project(projection: Projection): Promise<Projector>
}

/** They stop side by side, before the rest is closed one after another, so that slow ones do not add up. */
type Outbound = { stop(): Promise<unknown> }

export async function startWebhooks(
  { webhooks }: Config,
  db: Database,
  observe: Observations,
  { tail, project }: Log,
): Promise<Outbound> {
  if (webhooks.length === 0) return { stop: async () => {} }
  const [{ createReceiver }, { createWebhookProjection }] = await Promise.all([
    import('./webhooks/receiver.ts'),
    import('./webhooks/webhook-projection.ts'),
  ])
  const projections: Projection[] = []
  for (const webhook of webhooks) {
    let projector: Projector | undefined
    const projection = createWebhookProjection(db, webhook, createReceiver(webhook), {
      epoch: tail.epoch,
      mayDeliver: () => projector?.isHolder === true,
      drained: () => projector?.wake(),
      observe,
    })
    projector = await project(projection)
    projections.push(projection)
  }
  return { stop: stopAll(projections) }
}

/** @param holder what this node is called where nodes tell each other who is connected to them */
export async function startPushes(
  config: Config,
  db: Database,
  observe: Observations,
  { tail, project, holder }: Log & { holder: string },
): Promise<Outbound & { projections: PushProjection[] }> {
  const targets = await openPushTargets(config)
  if (targets.length === 0) return { projections: [], stop: async () => {} }
  const { createPushProjection } = await import('./push/push-projection.ts')
  const projections: PushProjection[] = []
  for (const target of targets) {
    const options = { epoch: tail.epoch, maxAgeMs: config.push.maxAgeMs, holder }
    const push = createPushProjection(db, target, options, observe)
    push.drivenBy(await project(push))
    projections.push(push)
  }
  return { projections, stop: stopAll(projections) }
}

const stopAll = (projections: Projection[]) => () => Promise.all(projections.map(({ underWay }) => underWay?.stop()))
