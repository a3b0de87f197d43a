/** A push as records of a topic: each person's in the partition that Kafka's own clients choose for their id. */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import { createRecords } from '../../src/push/push-target-kafka.ts'

test('a record names the partition of its people, whatever the producer has learnt of partitions since', () => {
  const users = Array.from({ length: 200 }, () => randomUUID())
  const recordsOf = createRecords('pushes', 3)
  const choose = kafkajs.Partitioners.DefaultPartitioner()
  const partitions = (count: number) =>
    Array.from({ length: count }, (_, partitionId) => {
      return { partitionErrorCode: 0, partitionId, leader: 0, replicas: [], isr: [] }
    })
  const found = new Map<string, number>()
  for (const message of recordsOf({ seq: 1, loggedAt: 0, users, notification: '{}', attempts: 0 })) {
    // As the producer does, which knows of seven by now.
    const partition = choose({ topic: 'pushes', partitionMetadata: partitions(7), message })
    for (const user of JSON.parse(String(message.value)).to_user) found.set(user, partition)
  }
  expect([...found.keys()].sort()).toEqual([...users].sort())
  for (const user of users) {
    const own = choose({ topic: 'pushes', partitionMetadata: partitions(3), message: { key: user, value: null } })
    expect(found.get(user)).toBe(own)
  }
})
