/** Messages of the fixture, their bodies and previews as ISM 0.7.9 serialises them. */
import type { Random } from '../random.ts'
import { type LegacyPerson, randomId } from './people.ts'
import { type Micros, toStoredJson } from './time.ts'

export type LegacyMessage = {
  id: string
  senderId: string
  type: 'Text' | 'Media' | 'Reply' | 'RoomChange'
  /** JSON. */
  body: string
  /** In milliseconds, as Cassandra keeps it. */
  createdAt: number
}

const PHRASES = [
  ...[
    'Hello',
    'ok',
    'See you at 8?',
    '👍',
    '👩‍👩‍👧‍👦',
    'Größe, Ärger & Maß',
    '今晚一起吃饭吗？',
    'שלום לכולם',
    'Καλημέρα',
    'A "quoted" \\ word',
  ],
  ...['line one\nline two\ttabbed', '<b>not bold</b>', '🤗 '.repeat(60), "Robert'); drop table chat_room;--"],
] as const

/** `count` messages by turns of chance, `spacing` milliseconds apart on average, oldest first. */
export function converse(
  random: Random,
  senders: readonly LegacyPerson[],
  { count, from, spacing = 60_000 }: { count: number; from: Micros; spacing?: number },
): LegacyMessage[] {
  const messages: LegacyMessage[] = []
  let createdAt = from / 1_000
  for (let n = 0; n < count; n++) {
    const sender = senders[random.below(senders.length)] as LegacyPerson
    createdAt = Math.floor(createdAt + 1 + random.below(2 * spacing))
    messages.push({ ...something(random, messages), id: randomId(random), senderId: sender.id, createdAt })
  }
  return messages
}

function something(random: Random, before: LegacyMessage[]): Pick<LegacyMessage, 'type' | 'body'> {
  const kind = random.next()
  const quoted = before[random.below(before.length)]
  if (kind < 0.15 && quoted) return reply(quoted, `${random.pick(PHRASES)} (${before.length})`)
  if (kind < 0.25) return media(random.next() < 0.5 ? 'image/jpeg' : null)
  return text(`${random.pick(PHRASES)} (${before.length})`)
}

export const text = (said: string) => ({ type: 'Text', body: JSON.stringify({ text: said }) }) as const

export const media = (mimeType: string | null, altText: string | null = null) =>
  ({
    type: 'Media',
    body: JSON.stringify({
      mediaUrl: 'https://cdn.example.com/a/b.jpg?x=1&y=ü',
      mediaType: 'IMAGE',
      mimeType,
      altText,
    }),
  }) as const

/** A reply quotes the text of a text, a media body whole, and of a reply what it said. */
export function reply(quoted: LegacyMessage, said: string) {
  const body = JSON.parse(quoted.body)
  return {
    type: 'Reply',
    body: JSON.stringify({
      replyMsgId: quoted.id,
      replySenderId: quoted.senderId,
      replyMsgType: quoted.type,
      replyCreatedAt: toStoredJson(quoted.createdAt * 1_000),
      replyMsgDetails: quoted.type === 'Reply' ? { reply_text: body.replyText } : body,
      replyText: said,
    }),
  } as const
}

export type RoomChange = 'UserJoined' | 'UserLeft' | 'UserInvited'

/** Its sender is the person whom it is about. */
export function roomChange(
  type: RoomChange,
  person: LegacyPerson,
  member: { joinedAt: Micros; readAt: Micros | null; state: string },
) {
  return {
    type: 'RoomChange',
    body: JSON.stringify({
      type,
      related_user: {
        id: person.id,
        displayName: person.displayName,
        profilePicture: person.profilePicture,
        joinedAt: toStoredJson(member.joinedAt),
        lastMessageReadAt: member.readAt === null ? null : toStoredJson(member.readAt),
        membershipStatus: member.state,
      },
    }),
  } as const
}

/** The JSON that `latest_message_preview_text` gets with the message. */
export function previewOf({ type, body }: LegacyMessage, { displayName }: LegacyPerson): string {
  const { text: said, mediaType, replyText, type: change } = JSON.parse(body)
  const common = { type, sender_username: displayName }
  switch (type) {
    case 'Text':
      return JSON.stringify({ ...common, text: shorten(said) })
    case 'Media':
      return JSON.stringify({ ...common, media_type: mediaType })
    case 'Reply':
      return JSON.stringify({ ...common, reply_text: shorten(replyText) })
    case 'RoomChange': {
      const changes = { UserJoined: 'JOIN', UserLeft: 'LEAVE', UserInvited: 'INVITE' }
      return JSON.stringify({ ...common, room_change_type: changes[change as RoomChange] })
    }
  }
}

function shorten(said: string): string {
  const characters = [...said]
  return characters.length > 50 ? `${characters.slice(0, 40).join('')}...` : said
}
