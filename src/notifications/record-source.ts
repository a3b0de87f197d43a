/** The port to Kafka: where notifications are read from, and where what cannot be used is put aside. */

export type SourceRecord = {
  topic: string
  partition: number
  /** Its place in the partition. */
  offset: string
  timestamp: string
  value: Buffer | null
}

/** Why a record cannot be used, now or later. */
export type Rejection<Record extends SourceRecord = SourceRecord> = { record: Record; reason: string }

/**
 * Done with the records, for good, when it resolves: those that it gives back are to be put aside. Where it rejects,
 * they are to be given to it again.
 */
export type RecordHandler = <Record extends SourceRecord>(records: Record[]) => Promise<Rejection<Record>[]>

export interface RecordSource {
  /** Reads until it is stopped, over failures; of one partition in order, each record at least once. */
  start(handle: RecordHandler): void
  /** @throws Error where there is no contact at present */
  check(): Promise<void>
  stop(): Promise<void>
}
