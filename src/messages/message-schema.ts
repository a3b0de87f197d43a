/** What a client may post as a message. Lengths count characters (code points). */
import { Type } from 'typebox'
import { validator } from '../http/validate.ts'
import { invalid } from '../shared/app-error.ts'
import { parseTimestamp } from '../shared/timestamp.ts'
import type { NewMessage } from './message.ts'

const Uuid = Type.String({ format: 'uuid' })
const Text = Type.String({ minLength: 1, maxLength: 4000 })

const envelope = validator(
  Type.Object({
    chatRoomId: Uuid,
    msgType: Type.Enum(['Text', 'Media', 'Reply']),
    msgBody: Type.Object({}),
    clientMessageId: Type.Optional(Uuid),
  }),
)

const text = validator(Type.Object({ msgBody: Type.Object({ text: Text }) }))
const media = validator(
  Type.Object({
    msgBody: Type.Object({
      mediaUrl: Type.String({ minLength: 1, maxLength: 250 }),
      mediaType: Type.String({ minLength: 1, maxLength: 80 }),
      mimeType: Type.Optional(Type.String({ maxLength: 255 })),
      altText: Type.Optional(Type.String({ maxLength: 1000 })),
    }),
  }),
)
const reply = validator(
  Type.Object({
    msgBody: Type.Object({
      replyMsgId: Uuid,
      replyCreatedAt: Type.String({ format: 'timestamp' }),
      replyText: Text,
    }),
  }),
)

/** @throws AppError VALIDATION_ERROR */
export function parseNewMessage(value: unknown): NewMessage {
  const { chatRoomId, msgType, clientMessageId } = envelope(value)
  const common = { roomId: chatRoomId.toLowerCase(), clientMessageId: clientMessageId?.toLowerCase() ?? null }
  switch (msgType) {
    case 'Text':
      return { ...common, type: msgType, body: { text: text(value).msgBody.text } }
    case 'Media': {
      const { mediaUrl, mediaType, mimeType = null, altText = null } = media(value).msgBody
      return { ...common, type: msgType, body: { mediaUrl, mediaType, mimeType, altText } }
    }
    case 'Reply': {
      const { replyMsgId, replyCreatedAt, replyText } = reply(value).msgBody
      const createdAt = parseTimestamp(replyCreatedAt)
      if (!createdAt) throw invalid('msgBody.replyCreatedAt: must be an RFC 3339 time')
      return {
        ...common,
        type: msgType,
        body: { replyMsgId: replyMsgId.toLowerCase(), replyCreatedAt: createdAt, replyText },
      }
    }
  }
}
