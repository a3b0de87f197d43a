/** The composition root: the one place that names concrete adapters and ties every part to what it uses. */
import { createTokenVerifier } from './auth/token-verifier.ts'
import type { Config } from './config/config.ts'
import { authentication } from './http/authenticate.ts'
import { healthHandlers } from './http/health-handlers.ts'
import { createRateLimits } from './http/rate-limits.ts'
import { createKoa, listen } from './http/server.ts'
import { openDatabase } from './infra/postgres.ts'
import { listen as listenToPostgres } from './infra/postgres-listener.ts'
import { adoptDatabase } from './log/log-repository.ts'
import { Maintenance } from './log/maintenance.ts'
import { listProjections } from './log/projection.ts'
import { Projector } from './log/projector.ts'
import { Retention } from './log/retention.ts'
import { createSendBatches } from './log/send-batch.ts'
import { Tail } from './log/tail.ts'
import { createLogTransactions } from './log/transaction.ts'
import { LOG_CHANNEL, USER_CHANNEL } from './log/wake-ups.ts'
import { ARCHIVE, createArchive } from './messages/archiver.ts'
import { messageHandlers } from './messages/message-handlers.ts'
import { MessageService } from './messages/message-service.ts'
import { PostgresMessageStore } from './messages/message-store-postgres.ts'
import { notificationHandlers } from './notifications/notification-handlers.ts'
import { NotificationService } from './notifications/notification-service.ts'
import { createDirectoryObjectStore } from './objects/object-store-directory.ts'
import { createObjectUrls } from './objects/object-urls.ts'
import { serveObject } from './objects/serve-object.ts'
import type { Logger } from './observability/logger.ts'
import { serveMetrics } from './observability/metrics-server.ts'
import { createObservations } from './observability/observations.ts'
import { relationshipHandlers } from './relationships/relationship-handlers.ts'
import { RelationshipService } from './relationships/relationship-service.ts'
import { ReadStates } from './rooms/read-states.ts'
import { RoomCreation } from './rooms/room-creation.ts'
import { roomHandlers } from './rooms/room-handlers.ts'
import { RoomImages } from './rooms/room-images.ts'
import { RoomMembership } from './rooms/room-membership.ts'
import { RoomService } from './rooms/room-service.ts'
import { createRouter } from './routes.ts'
import { prepareDatabase } from './start-up.ts'
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

const CLOSE_DEADLINE_MS = 5_000
const SWEEP_AFTER_MINUTES = 60

/** @throws Error where a store cannot be reached in time, the database has another schema, or the port is taken */
export async function startApp(config: Config, options: { logger: Logger; migrate: boolean }): Promise<App> {
  const { logger } = options
  await prepareDatabase(config.postgres, options)
  const observe = createObservations(logger)

  const db = openDatabase(config.postgres, observe)
  await adoptDatabase(db)
  const listener = listenToPostgres(config.postgres, [LOG_CHANNEL, USER_CHANNEL], {
    notified: (channel, payload) => (channel === LOG_CHANNEL ? wake(Number(payload)) : currentUsers.forget(payload)),
    connected: () => {
      currentUsers.forgetAll()
      wake()
    },
    failed: observe.listenerFailed,
  })
  const isNotified = () => listener.connected
  const currentUsers = new CurrentUsers(db, config.users, isNotified)
  const objects = createDirectoryObjectStore(config.objects.directory)
  const urls = createObjectUrls(config.objects)

  const store = new PostgresMessageStore(db)
  const archive = new Projector(db, createArchive(db, store), observe)
  const tail = new Tail(db, observe, { memoryBytes: config.log.memoryBytes, isWoken: isNotified })
  const wake = (seq?: number) => {
    tail.wake(seq)
    archive.wake()
  }
  const transactions = createLogTransactions(db, wake)
  const batches = createSendBatches(db, observe, wake)
  await tail.start()
  const hub = new Hub(tail, config.streams, observe)

  const membership = new RoomMembership(transactions, urls)
  const images = new RoomImages(db, transactions, objects, urls)
  const retention = new Retention(db, transactions, { ...config.log, archive: ARCHIVE })
  const maintenance = new Maintenance(
    db,
    [
      { name: 'retention', run: async () => observe.partitionsDropped(await retention.run()) },
      { name: 'images', run: async () => void (await images.sweep(SWEEP_AFTER_MINUTES)) },
    ],
    observe,
  )

  const limits = createRateLimits(config.limits)
  const verifier = createTokenVerifier(config.tokenIssuer, { logger })
  const health = healthHandlers(
    [
      { name: 'postgres', check: async () => void (await db.query('health.check', 'select 1')) },
      { name: 'objects', check: () => objects.check() },
    ],
    {
      registry: observe.registry,
      token: config.metrics.token,
      refresh: async () => observe.projectionsRead(await listProjections(db)),
    },
  )
  const router = createRouter(
    {
      health,
      objects: { get: (ctx) => serveObject(ctx, objects, String(ctx.params['key'])) },
      users: userHandlers(new UserService(db), limits),
      relationships: relationshipHandlers(
        new RelationshipService(db, transactions, (transaction, pair) => membership.endPrivateRooms(transaction, pair)),
      ),
      rooms: roomHandlers(
        {
          rooms: new RoomService(db, urls),
          creation: new RoomCreation(transactions),
          membership,
          readStates: new ReadStates(db, transactions),
          images,
        },
        limits,
      ),
      messages: messageHandlers(new MessageService(db, batches, store), limits),
      notifications: notificationHandlers(new NotificationService(db), createStreamOpener(db, tail, hub)),
    },
    authentication(verifier, currentUsers),
  )
  const koa = createKoa(router, config.server.corsOrigins, logger, observe)
  const server = await listen(koa, config.server.host, config.server.port)
  const metrics = await serveMetrics(config.metrics, observe.registry)
  archive.start()
  maintenance.start()
  logger.info(server.address, 'listening')

  return {
    address: server.address,
    failed: new Promise<never>(() => {}),
    async close() {
      const drained = server.close(CLOSE_DEADLINE_MS)
      hub.close()
      await drained
      await batches.idle()
      await Promise.all([maintenance.stop(), archive.stop(), tail.stop(), listener.close(), metrics?.close()])
      verifier.close()
      await db.close()
    },
  }
}
