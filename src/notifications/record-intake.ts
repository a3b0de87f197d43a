/** What becomes of records: notifications go into the log, pushes of ISM 0.7.9 are skipped, the rest is put aside. */
import { errorCode } from '../infra/postgres.ts'
import { AppError, isUnavailable } from '../shared/app-error.ts'
import { derivedId } from './notification.ts'
import type { Accepted, NotificationLog } from './notification-log.ts'
import { parseNotification } from './notification-schema.ts'
import type { RecordHandler, Rejection, SourceRecord } from './record-source.ts'

export type RecordOutcome = 'appended' | 'repeated' | 'nobody known' | 'rejected' | 'skipped'

export type IntakeObserver = {
  recordsTaken(outcome: RecordOutcome, count: number): void
  usersUnknown(id: string, unknownUsers: string[]): void
  recordRejected(place: Omit<SourceRecord, 'value'>, reason: string): void
}

export function createRecordIntake(log: NotificationLog, observe: IntakeObserver): RecordHandler {
  return async (records) => {
    // All at once, in their order: they share calls. Settled, so that none is still on its way when they come again.
    const settled = await Promise.allSettled(records.map((record) => take(record, log)))
    const rejections: Rejection<(typeof records)[number]>[] = []
    const counts = new Map<RecordOutcome, number>()
    for (const [index, result] of settled.entries()) {
      const record = records[index]
      if (!record) continue
      const outcome = result.status === 'fulfilled' ? result.value : rejectionReason(result.reason)
      if (typeof outcome === 'string') rejections.push({ record, reason: outcome })
      else if (outcome?.unknownUsers.length) observe.usersUnknown(outcome.id, outcome.unknownUsers)
      const name = outcomeOf(outcome)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    for (const { record, reason } of rejections) observe.recordRejected(placeOf(record), reason)
    for (const [outcome, count] of counts) observe.recordsTaken(outcome, count)
    return rejections
  }
}

/** @returns `undefined` for one that is skipped */
async function take({ value, ...place }: SourceRecord, log: NotificationLog): Promise<Accepted | undefined> {
  if (value === null) throw new AppError('VALIDATION_ERROR', 'The record has no value.')
  try {
    const notification = parseNotification(value)
    return await log.append({ ...notification, id: notification.id ?? idOf(place) })
  } catch (error) {
    if (error instanceof AppError && error.code === 'VALIDATION_ERROR' && isPush(value)) return undefined
    throw error
  }
}

/** A record that comes again after a crash is the same one; the time tells it from one of a topic that was made anew. */
function idOf({ topic, partition, offset, timestamp }: Omit<SourceRecord, 'value'>): string {
  return derivedId('kafka', [topic, partition, offset, timestamp].join('\n'))
}

/** ISM 0.7.9 wrote its pushes to the topic that is read here. */
function isPush(value: Buffer): boolean {
  try {
    const record: unknown = JSON.parse(value.toString('utf8'))
    return typeof record === 'object' && record !== null && 'to_user' in record && 'notification' in record
  } catch {
    return false
  }
}

/** @throws what may pass if it is tried again */
function rejectionReason(error: unknown): string {
  if (error instanceof AppError && !isUnavailable(error)) return error.message
  // Data exceptions, integrity violations and program limits: SQLSTATE classes 22, 23 and 54.
  if (/^(22|23|54)/.test(errorCode(error) ?? '')) return 'It cannot be stored.'
  throw error
}

function outcomeOf(outcome: Accepted | string | undefined): RecordOutcome {
  if (typeof outcome === 'string') return 'rejected'
  if (outcome === undefined) return 'skipped'
  if (outcome.seq === null) return 'nobody known'
  return outcome.repeated ? 'repeated' : 'appended'
}

const placeOf = ({ topic, partition, offset, timestamp }: SourceRecord) => ({ topic, partition, offset, timestamp })
