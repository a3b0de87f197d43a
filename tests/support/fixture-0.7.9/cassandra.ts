/** What ISM 0.7.9 leaves in Cassandra or ScyllaDB: one table, a partition a room, the oldest message first. */
import { Client, type ClientOptions, concurrent } from 'cassandra-driver'
import type { Community } from './community.ts'

const TABLE = `create table if not exists chat_messages (
  chat_room_id uuid,
  message_id uuid,
  sender_id uuid,
  msg_body text,
  msg_type text,
  created_at timestamp,
  primary key ((chat_room_id), created_at, message_id)
)`

export const INSERT_MESSAGE =
  'insert into chat_messages (chat_room_id, message_id, sender_id, msg_body, msg_type, created_at) values (?, ?, ?, ?, ?, ?)'

export type Cluster = Pick<ClientOptions, 'contactPoints' | 'localDataCenter'>

/** Makes the keyspace, too. */
export async function fillCassandra(cluster: Cluster, keyspace: string, { rooms }: Community): Promise<void> {
  await withCassandra(cluster, async (client) => {
    await client.execute(
      `create keyspace if not exists ${keyspace}
      with replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}`,
    )
    await client.execute(`use ${keyspace}`)
    await client.execute(TABLE)
    const messages = rooms.flatMap((room) =>
      room.messages.map(({ id, senderId, body, type, createdAt }) => [
        room.id,
        id,
        senderId,
        body,
        type,
        new Date(createdAt),
      ]),
    )
    await concurrent.executeConcurrent(client, INSERT_MESSAGE, messages, { concurrencyLevel: 64 })
  })
}

export function dropKeyspace(cluster: Cluster, keyspace: string): Promise<void> {
  return withCassandra(cluster, async (client) => {
    await client.execute(`drop keyspace if exists ${keyspace}`)
  })
}

export async function withCassandra<T>(options: ClientOptions, action: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    ...options,
    queryOptions: { fetchSize: 100_000 },
    socketOptions: { readTimeout: 60_000 },
  })
  try {
    return await action(client)
  } finally {
    await client.shutdown()
  }
}
