/** The composition root: the one place that names concrete adapters and ties every part to what it uses. */
import { createTokenVerifier } from './auth/token-verifier.ts'
import type { Config } from './config/config.ts'
import { authentication } from './http/authenticate.ts'
import { healthHandlers } from './http/health-handlers.ts'
import { createRateLimits } from './http/rate-limits.ts'
import { createKoa, listen } from './http/server.ts'
import { limited } from './infra/limited.ts'
import { type Database, openDatabase } from './infra/postgres.ts'
import { listen as listenToPostgres } from './infra/postgres-listener.ts'
import { adoptDatabase } from './log/log-repository.ts'
import { Maintenance } from './log/maintenance.ts'
import { listProjections } from './log/projection.ts'
import { Projector } from './log/projector.ts'
import { Retention } from './log/retention.ts'
import { createSendBatches } from './log/send-batch.ts'
import { Tail } from './log/tail.ts'
import { createLogTransactions, type LogTransactions } from './log/transaction.ts'
import { LOG_CHANNEL, USER_CHANNEL } from './log/wake-ups.ts'
import { ARCHIVE, createArchive } from './messages/archiver.ts'
import { messageHandlers } from './messages/message-handlers.ts'
import { MessageService } from './messages/message-service.ts'
import type { MessageStore } from './messages/message-store.ts'
import { notificationHandlers } from './notifications/notification-handlers.ts'
import { NotificationService } from './notifications/notification-service.ts'
import { createObjectUrls } from './objects/object-urls.ts'
import { serveObject } from './objects/serve-object.ts'
import type { Logger } from './observability/logger.ts'
import { serveMetrics } from './observability/metrics-server.ts'
import { createObservations, type Observations } from './observability/observations.ts'
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
import { prepareDatabase, type StartOptions } from './start-up.ts'
import { openMessageStore, openObjectStore } from './stores.ts'
import { Hub } from './streams/hub.ts'
import { createStreamOpener } from './streams/open-stream.ts'
import { CurrentUsers } from './users/current-users.ts'
import { userHandlers } from './users/user-handlers.ts'
import { UserService } from './users/user-service.ts'

export type App = {
  address: { host: string; port: number }
  /** Rejects where ISM cannot go on. */
  failed: Promise<never>
  /** Finishes what runs, ends the streams so that clients resume elsewhere, and closes the stores. */
  close(): Promise<void>
}

const START_ATTEMPTS = 3
const CLOSE_DEADLINE_MS = 5_000
const SWEEP_AFTER_MINUTES = 60
/** Of the pool's connections, for streams that open: however many come back at once, requests find a free one. */
const STREAMS_SHARE = 0.3

/** What was started, to be closed in the opposite order. */
type Closing = (() => Promise<unknown>)[]

/** @throws Error where a store cannot be reached in time, the database has another schema, or the port is taken */
export async function startApp(config: Config, options: StartOptions): Promise<App> {
  for (let attempt = 1; ; attempt++) {
    await prepareDatabase(config.postgres, options)
    try {
      return await startPrepared(config, options.logger)
    } catch (error) {
      // A database that answered and was gone again before it was used is waited for like one that is not there yet.
      if (!isUnavailable(error) || attempt === START_ATTEMPTS) throw error
    }
  }
}

async function startPrepared(config: Config, logger: Logger): Promise<App> {
  const closing: Closing = []
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each()
  }
  try {
    const { address, failed } = await start(config, logger, closing)
    return { address, failed, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function start(config: Config, logger: Logger, closing: Closing): Promise<Pick<App, 'address' | 'failed'>> {
  const observe = createObservations(logger)
  const db = openDatabase(config.postgres, observe)
  closing.push(() => db.close())
  await adoptDatabase(db)

  const objects = await openObjectStore(config.objects)
  const urls = createObjectUrls(config.objects)
  const { store, close: closeStore } = await openMessageStore(config.messages, db, logger)
  closing.push(closeStore)
  const log = await startLog(config, db, observe, store, closing)

  const images = new RoomImages(db, log.transactions, objects, urls)
  const membership = new RoomMembership(log.transactions, urls, (key) => images.discard(key))
  const limits = createRateLimits(config.limits)
  const verifier = createTokenVerifier(config.tokenIssuer, { logger })
  closing.push(async () => verifier.close())

  const refreshMetrics = async () => observe.projectionsRead(await listProjections(db))
  const handlers: Handlers = {
    health: healthHandlers(
      [
        { name: 'postgres', required: true, check: async () => void (await db.query('health.check', 'select 1')) },
        { name: 'messages', required: false, check: () => store.check() },
        { name: 'objects', required: false, check: () => objects.check() },
      ],
      {
        registry: observe.registry,
        token: config.metrics.token,
        refresh: refreshMetrics,
      },
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
      new NotificationService(db),
      createStreamOpener(limited(db, Math.ceil(config.postgres.poolSize * STREAMS_SHARE)), log.tail, log.hub),
    ),
  }
  startMaintenance(config, db, observe, { transactions: log.transactions, images }, closing)

  const metrics = await serveMetrics(config.metrics, observe.registry, refreshMetrics)
  if (metrics) closing.push(() => metrics.close())
  const router = createRouter(handlers, authentication(verifier, log.currentUsers))
  const koa = createKoa(router, config.server.corsOrigins, logger, observe)
  const server = await listen(koa, config.server.host, config.server.port)
  closing.push(async () => {
    // The listener first: a client whose stream ends must not come back to this node.
    const drained = server.close(CLOSE_DEADLINE_MS)
    await Promise.all([drained, log.hub.close()])
    await log.batches.idle()
  })
  logger.info(server.address, 'listening')
  return { address: server.address, failed: log.failed }
}

/** The log's writers, its tail with the streams that follow it, its archive, and the wake-ups that drive them. */
async function startLog(config: Config, db: Database, observe: Observations, store: MessageStore, closing: Closing) {
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // Whoever races it handles it; where nobody does yet, it is no unhandled rejection.
  failed.catch(() => {})

  const currentUsers = new CurrentUsers(db, config.users, () => listener.connected)
  const archive = new Projector(db, createArchive(db, store), observe)
  const tail = new Tail(
    db,
    {
      ...observe,
      logReplaced(error) {
        observe.logReplaced(error)
        fail(error)
      },
    },
    { memoryBytes: config.log.memoryBytes, isWoken: () => listener.connected },
  )
  const wake = (seq?: number) => {
    tail.wake(seq)
    archive.wake()
  }
  const listener = listenToPostgres(config.postgres, [LOG_CHANNEL, USER_CHANNEL], {
    notified: (channel, payload) => (channel === LOG_CHANNEL ? wake(Number(payload)) : currentUsers.forget(payload)),
    connected: () => {
      currentUsers.forgetAll()
      wake()
    },
    failed: observe.listenerFailed,
  })
  closing.push(() => listener.close())
  await tail.start()
  closing.push(() => tail.stop())
  archive.start()
  closing.push(() => archive.stop())
  return {
    currentUsers,
    tail,
    failed,
    hub: new Hub(tail, config.streams, observe),
    transactions: createLogTransactions(db, wake),
    batches: createSendBatches(db, observe, wake),
  }
}

function startMaintenance(
  config: Config,
  db: Database,
  observe: Observations,
  { transactions, images }: { transactions: LogTransactions; images: RoomImages },
  closing: Closing,
): void {
  const retention = new Retention(db, transactions, { ...config.log, archive: ARCHIVE })
  const maintenance = new Maintenance(
    db,
    [
      { name: 'retention', run: async () => observe.partitionsDropped(await retention.run()) },
      { name: 'images', run: async () => void (await images.sweep(SWEEP_AFTER_MINUTES)) },
    ],
    observe,
  )
  maintenance.start()
  closing.push(() => maintenance.stop())
}
