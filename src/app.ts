/** The composition root: the one place that names concrete adapters and ties every part to what it uses. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { createTokenVerifier } from './auth/token-verifier.ts'
import { type Closing, closeAll } from './closing.ts'
import type { Config } from './config/config.ts'
import { countDeadDeliveries, deleteOldDeadDeliveries } from './deliveries/dead-delivery-repository.ts'
import { authentication, streamAuthentication } from './http/authenticate.ts'
import { healthHandlers } from './http/health-handlers.ts'
import { createRateLimits } from './http/rate-limits.ts'
import { createKoa, listen } from './http/server.ts'
import { limited } from './infra/limited.ts'
import { type Database, openDatabase } from './infra/postgres.ts'
import { adoptDatabase } from './log/log-repository.ts'
import { Maintenance } from './log/maintenance.ts'
import { listBroken, listProjections } from './log/projection.ts'
import { Retention } from './log/retention.ts'
import type { Tail } from './log/tail.ts'
import type { LogTransactions } from './log/transaction.ts'
import { ARCHIVE } from './messages/archiver.ts'
import { messageHandlers } from './messages/message-handlers.ts'
import { MessageService } from './messages/message-service.ts'
import { notificationHandlers } from './notifications/notification-handlers.ts'
import { NotificationService } from './notifications/notification-service.ts'
import { deleteOldRequests } from './notifications/received-requests.ts'
import { createRecordIntake } from './notifications/record-intake.ts'
import { claimsWithRoles, serviceRoleOf } from './notifications/service-role.ts'
import { webhookHandler } from './notifications/webhook-handler.ts'
import { createObjectUrls } from './objects/object-urls.ts'
import { serveObject } from './objects/serve-object.ts'
import { serveMetrics } from './observability/metrics-server.ts'
import { createObservations, type Observations } from './observability/observations.ts'
import type { MetricsSnapshot } from './observability/scrape.ts'
import { startPushes, startWebhooks } from './outbound.ts'
import { NodePresence } from './presence/node-presence.ts'
import { reapNodes } from './presence/node-repository.ts'
import { presenceHandlers } from './presence/presence-handlers.ts'
import { PresenceService } from './presence/presence-service.ts'
import { relationshipHandlers } from './relationships/relationship-handlers.ts'
import { RelationshipService } from './relationships/relationship-service.ts'
import { ReadStates } from './rooms/read-states.ts'
import { RoomCreation } from './rooms/room-creation.ts'
import { roomHandlers } from './rooms/room-handlers.ts'
import { RoomImages } from './rooms/room-images.ts'
import { RoomMembership } from './rooms/room-membership.ts'
import { RoomService } from './rooms/room-service.ts'
import { createRouter, type Handlers } from './routes.ts'
import { isUnavailable } from './shared/app-error.ts'
import { startLog } from './start-log.ts'
import { prepareDatabase, type StartOptions } from './start-up.ts'
import { openMessageStore, openObjectStore, openRecordSource } from './stores.ts'
import { comeBack } from './streams/come-back.ts'
import type { Hub } from './streams/hub.ts'
import { createStreamOpener } from './streams/open-stream.ts'
import { StreamTickets } from './streams/stream-tickets.ts'
import { nameIn } from './users/current-users.ts'
import { userHandlers } from './users/user-handlers.ts'
import { UserService } from './users/user-service.ts'

export type App = {
  address: { host: string; port: number }
  /** Rejects where ISM cannot go on. */
  failed: Promise<never>
  metrics(): Promise<MetricsSnapshot>
  /** Finishes what runs, ends the streams so that clients resume elsewhere, and closes the stores. */
  close(): Promise<void>
}

const START_ATTEMPTS = 3
const CLOSE_DEADLINE_MS = 5_000
const SWEEP_AFTER_MINUTES = 60
/** Of the pool's connections, for streams that open: however many come back at once, requests find a free one. */
const STREAMS_SHARE = 0.3

/**
 * Connections beside the pool, for what must not wait behind requests: the tail, presence, leases, and whose streams
 * have to end.
 */
const BACKGROUND_CONNECTIONS = 2

/** @throws Error where a store cannot be reached in time, the database has another schema, or the port is taken */
export async function startApp(config: Config, options: StartOptions): Promise<App> {
  for (let attempt = 1; ; attempt++) {
    await prepareDatabase(config.postgres, options)
    try {
      return await startPrepared(config, options)
    } catch (error) {
      // A database that answered and was gone again before it was used is waited for like one that is not there yet.
      if (!isUnavailable(error) || attempt === START_ATTEMPTS) throw error
    }
  }
}

async function startPrepared(config: Config, options: StartOptions): Promise<App> {
  const closing: Closing = []
  try {
    return { ...(await start(config, options, closing)), close: () => closeAll(closing) }
  } catch (error) {
    // What else fails now most likely fails for the same reason.
    await closeAll(closing).catch(() => {})
    throw error
  }
}

async function start(config: Config, options: StartOptions, closing: Closing): Promise<Omit<App, 'close'>> {
  const { logger } = options
  const observe = createObservations(logger)
  const db = openDatabase(config.postgres, observe)
  closing.push(() => db.close())
  const background = openDatabase({ ...config.postgres, poolSize: BACKGROUND_CONNECTIONS }, observe)
  closing.push(() => background.close())
  await adoptDatabase(db)

  const objects = await openObjectStore(config.objects)
  const urls = createObjectUrls(config.objects)
  const { store, close: closeStore } = await openMessageStore(config.messages, db, logger)
  closing.push(closeStore)
  const holder = randomUUID()
  const streamsDb = limited(db, Math.ceil(config.postgres.poolSize * STREAMS_SHARE))
  const tickets = new StreamTickets(db, streamsDb, config.tokenIssuer.leewaySeconds)
  const log = await startLog(config, { db, background }, observe, { store, tickets, holder }, closing)
  const webhooks = await startWebhooks(config, db, observe, log)

  const records = await openRecordSource(config.kafka, observe)
  const pushes = await startPushes(config, db, observe, { ...log, holder })
  const images = new RoomImages(db, log.transactions, objects, urls)
  const membership = new RoomMembership(log.transactions, urls, (key) => images.discard(key))
  const limits = createRateLimits(config.limits)
  const serviceRole = serviceRoleOf(config)
  const verifier = createTokenVerifier(config.tokenIssuer, {
    logger,
    nameOf: (claims) => nameIn(claims, config.users),
    claims: serviceRole ? claimsWithRoles(serviceRole) : [],
  })
  closing.push(async () => verifier.close())

  const { redisWakeUps } = log
  const readMetrics = async () => {
    // The other metrics matter most when the database is down.
    await listProjections(db).then(
      // Not those of receivers that are no longer configured.
      (all) => observe.projectionsRead(all.filter(({ name }) => log.projections.includes(name))),
      () => {},
    )
    await countDeadDeliveries(db).then(observe.deadDeliveriesRead, () => {})
    return observe.registry
  }
  const scrape = options.scrape ?? (async () => (await readMetrics()).metrics())
  const handlers: Handlers = {
    health: healthHandlers(
      [
        { name: 'postgres', required: true, check: async () => void (await db.query('health.check', 'select 1')) },
        { name: 'messages', required: false, check: () => store.check() },
        { name: 'objects', required: false, check: () => objects.check() },
        ...(redisWakeUps ? [{ name: 'redis', required: false, check: () => redisWakeUps.check() }] : []),
        ...(records ? [{ name: 'kafka', required: false, check: () => records.check() }] : []),
        ...pushes.projections.map(({ name, check }) => ({ name, required: false, check })),
      ],
      { token: config.metrics.token, scrape },
    ),
    objects: { get: (ctx) => serveObject(ctx, objects, String(ctx.params['key'])) },
    users: userHandlers(new UserService(db), limits),
    relationships: relationshipHandlers(
      new RelationshipService(db, log.transactions, (transaction, pair) =>
        membership.endPrivateRooms(transaction, pair),
      ),
    ),
    rooms: roomHandlers(
      {
        rooms: new RoomService(db, urls),
        creation: new RoomCreation(log.transactions),
        membership,
        readStates: new ReadStates(db, log.transactions),
        images,
      },
      limits,
    ),
    messages: messageHandlers(new MessageService(db, log.batches, store), limits),
    notifications: notificationHandlers(
      {
        notifications: new NotificationService(db),
        opener: createStreamOpener(streamsDb, log.tail, log.hub),
        authorised: log.authorised,
        tickets,
        observe,
      },
      limits,
    ),
    presence: presenceHandlers(new PresenceService(db)),
    webhook: webhookHandler(config.webhook.secrets, serviceRole, { db, verifier, log: log.notifications }),
  }
  startPresence(
    background,
    observe,
    log,
    { name: [hostname(), process.pid, options.name].join(' ').trim(), holder },
    closing,
  )
  startMaintenance(
    config,
    db,
    observe,
    { transactions: log.transactions, images, tickets, projections: log.projections },
    closing,
  )

  const metrics = await serveMetrics(config.metrics, scrape)
  if (metrics) closing.push(() => metrics.close())
  const router = createRouter(
    handlers,
    authentication(verifier, log.currentUsers),
    comeBack(
      streamAuthentication(verifier, log.currentUsers, {
        tickets,
        streams: log.authorised,
        allowQueryToken: config.tokenIssuer.allowQueryToken,
      }),
      observe,
    ),
  )
  const koa = createKoa(router, config.server.corsOrigins, logger, observe)
  const server = await listen(koa, config.server.host, config.server.port)
  closing.push(async () => {
    // The listener first: a client whose stream ends must not come back to this node.
    const drained = server.close(CLOSE_DEADLINE_MS)
    // The archive now, too: a store that is frozen keeps it for as long as its last clients may take.
    const outbound = [webhooks.stop(), pushes.stop(), records?.stop(), log.archive.stop()]
    await Promise.all([drained, log.hub.close(), ...outbound])
    await Promise.all([log.batches.idle(), log.notifications.idle()])
  })
  records?.start(createRecordIntake(log.notifications, observe))
  const metricsSnapshot = async () => (await readMetrics()).getMetricsAsJSON()
  return { address: server.address, failed: log.failed, metrics: metricsSnapshot }
}

/** Tells the other nodes who is connected here, and how far the tail is. */
function startPresence(
  db: Database,
  observe: Observations,
  { tail, hub }: { tail: Tail; hub: Hub },
  identity: { name: string; holder: string },
  closing: Closing,
): void {
  const presence = new NodePresence(db, { ...identity, tailSeq: () => tail.position }, observe)
  hub.watch(presence)
  presence.start()
  closing.push(() => presence.stop())
}

type Maintained = {
  transactions: LogTransactions
  images: RoomImages
  tickets: StreamTickets
  /** Those that this node works at. */
  projections: string[]
}

function startMaintenance(
  config: Config,
  db: Database,
  observe: Observations,
  { transactions, images, tickets, projections }: Maintained,
  closing: Closing,
): void {
  const retention = new Retention(db, transactions, { ...config.log, archive: ARCHIVE })
  const maintenance = new Maintenance(
    db,
    [
      { name: 'retention', run: async () => observe.partitionsDropped(await retention.run()) },
      { name: 'projections', run: async () => observe.projectionsBroken(await listBroken(db, projections)) },
      { name: 'presence', run: () => reapNodes(db) },
      { name: 'tickets', run: () => tickets.deleteOld() },
      { name: 'requests', run: () => deleteOldRequests(db) },
      { name: 'dead-deliveries', run: () => deleteOldDeadDeliveries(db, config.log.retentionHours) },
      { name: 'images', run: async () => void (await images.sweep(SWEEP_AFTER_MINUTES)) },
    ],
    observe,
  )
  maintenance.start()
  closing.push(() => maintenance.stop())
}
