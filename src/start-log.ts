/** Starts the log: its writers, its tail with the streams that follow it, its archive, and the wake-ups that drive them. */
import type { Closing } from './closing.ts'
import type { Config } from './config/config.ts'
import type { Database } from './infra/postgres.ts'
import type { LogEvent } from './log/event.ts'
import { createLogReader } from './log/log-reader.ts'
import { type Projection, Projector } from './log/projector.ts'
import { createSendBatches } from './log/send-batch.ts'
import { Tail } from './log/tail.ts'
import { createLogTransactions } from './log/transaction.ts'
import { openPostgresWakeUps } from './log/wake-ups-postgres.ts'
import type { RedisWakeUps } from './log/wake-ups-redis.ts'
import { createArchive } from './messages/archiver.ts'
import type { MessageStore } from './messages/message-store.ts'
import { createNotificationLog } from './notifications/notification-log.ts'
import type { Observations } from './observability/observations.ts'
import { openRedis } from './stores.ts'
import { AuthorisedStreams } from './streams/authorised-streams.ts'
import { Hub } from './streams/hub.ts'
import type { StreamTickets } from './streams/stream-tickets.ts'
import { CurrentUsers } from './users/current-users.ts'

export async function startLog(
  config: Config,
  { db, background }: { db: Database; background: Database },
  observe: Observations,
  { store, tickets, holder }: { store: MessageStore; tickets: StreamTickets; holder: string },
  closing: Closing,
) {
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // Whoever races it handles it; where nobody does yet, it is no unhandled rejection.
  failed.catch(() => {})

  let redisWakeUps: RedisWakeUps | undefined
  const currentUsers = new CurrentUsers(db, config.users, () => postgresWakeUps.connected)
  const authorised = new AuthorisedStreams(background, {
    leewaySeconds: config.tokenIssuer.leewaySeconds,
    isNotified: () => postgresWakeUps.connected,
    giveBack: (ticket) => tickets.giveBack(ticket),
  })
  closing.push(() => authorised.stop())
  const projectors: Projector[] = []
  const projections: string[] = []
  const tail = new Tail(
    background,
    {
      ...observe,
      logReplaced(error) {
        observe.logReplaced(error)
        fail(error)
      },
    },
    {
      memoryBytes: config.log.memoryBytes,
      isWoken: () => postgresWakeUps.connected || redisWakeUps?.connected === true,
    },
  )
  const wakeProjectors = () => {
    for (const projector of projectors) projector.wake()
  }
  const wake = (seq?: number) => {
    tail.wake(seq)
    wakeProjectors()
  }
  // Also where Redis wakes: only PostgreSQL tells of changed people, and of what was appended while Redis was away.
  const postgresWakeUps = openPostgresWakeUps(config.postgres, {
    woken: wake,
    connected: () => {
      currentUsers.forgetAll()
      authorised.anythingChanged()
      wake()
    },
    userChanged: (userId) => {
      currentUsers.forget(userId)
      authorised.personChanged(userId)
    },
    ticketUsed: (ticket) => authorised.ticketUsed(ticket),
    silent: () => {
      authorised.anythingChanged()
      wake()
    },
    failed: (error) => {
      observe.listenerFailed(error)
      wake()
    },
  })
  closing.push(() => postgresWakeUps.close())
  await tail.start()
  closing.push(() => tail.stop())
  redisWakeUps = await openRedis(config.redis, tail.epoch, {
    woken: wake,
    connected: () => wake(),
    failed: (error) => {
      observe.redisFailed(error)
      wake()
    },
  })
  closing.push(async () => redisWakeUps?.close())
  const committed = (seq: number) => {
    wake(seq)
    redisWakeUps?.publish(seq)
  }
  const sent = (events: LogEvent[]) => {
    tail.appended(events)
    wakeProjectors()
    redisWakeUps?.publish(events.at(-1)?.seq ?? 0)
  }
  /** Whichever node has its lease works at it; what is appended from now on is for it. */
  const project = async (projection: Projection): Promise<Projector> => {
    const projector = new Projector(db, projection, observe, holder, background)
    await projector.register()
    projectors.push(projector)
    projections.push(projection.name)
    projector.start()
    closing.push(() => projector.stop())
    return projector
  }
  const archive = await project(createArchive(db, createLogReader(db, tail), store))
  return {
    archive,
    currentUsers,
    authorised,
    tail,
    failed,
    project,
    projections,
    hub: new Hub(tail, config.streams, observe),
    redisWakeUps,
    transactions: createLogTransactions(db, committed),
    batches: createSendBatches(db, observe, sent),
    notifications: createNotificationLog(db, committed),
  }
}
