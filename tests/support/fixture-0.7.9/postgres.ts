/** What ISM 0.7.9 leaves in PostgreSQL. */
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import type { Community } from './community.ts'
import { type Micros, toTimestamp } from './time.ts'

const SCHEMA = new URL('schema.sql', import.meta.url)

/** @param bucket of the pictures, which the rows name */
export async function fillPostgres(database: pg.ClientConfig, community: Community, bucket: string): Promise<void> {
  const client = new pg.Client(database)
  await client.connect()
  try {
    await client.query(await readFile(SCHEMA, 'utf8'))
    for (const [table, rows] of Object.entries(tablesOf(community, bucket))) {
      await client.query(`insert into ${table} select * from json_populate_recordset(null::${table}, $1)`, [
        JSON.stringify(rows),
      ])
    }
  } finally {
    await client.end()
  }
}

/** Tables in the order in which they refer to each other. */
function tablesOf({ people, relationships, rooms }: Community, bucket: string): Record<string, object[]> {
  return {
    app_user: people.map((person) => ({
      id: person.id,
      created_at: toTimestamp(person.createdAt),
      deleted_at: orNull(person.deletedAt),
      description: person.description,
      display_name: person.displayName,
      friends_count: person.friendsCount,
      last_modified_at: null,
      profile_picture: person.profilePicture,
      street_credits: person.streetCredits,
      raw_name: person.rawName,
      role: person.role,
    })),
    chat_room: rooms.map((room) => ({
      id: room.id,
      created_at: toTimestamp(room.createdAt),
      latest_message: orNull(room.latestMessage),
      latest_message_preview_text: room.preview,
      room_image_url: room.hasPicture ? `${bucket}/${room.id}` : null,
      room_name: room.name,
      room_type: room.type,
    })),
    chat_room_participant: rooms.flatMap((room) =>
      room.members.map((member) => ({
        joined_at: toTimestamp(member.joinedAt),
        last_message_read_at: orNull(member.readAt),
        participant_state: member.state,
        room_id: room.id,
        user_id: member.userId,
      })),
    ),
    user_relationship: relationships.map((relationship) => ({
      user_a_id: relationship.userA,
      user_b_id: relationship.userB,
      state: relationship.state,
      relationship_change_timestamp: toTimestamp(relationship.changedAt),
    })),
  }
}

const orNull = (time: Micros | null) => (time === null ? null : toTimestamp(time))
