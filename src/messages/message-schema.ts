/** What a client may post as a message. Lengths count characters (code points). */
import { validator } from '../http/validate.ts'
import { invalid } from '../shared/app-error.ts'
import { parseTimestamp } from '../shared/timestamp.ts'
import type { NewMessage } from './message.ts'

const UUID = { type: 'string', format: 'uuid' } as const
const TEXT = { type: 'string', minLength: 1, maxLength: 4000 } as const

const envelope = validator({
  type: 'object',
  required: ['chatRoomId', 'msgType', 'msgBody'],
  properties: {
    chatRoomId: UUID,
    msgType: { enum: ['Text', 'Media', 'Reply'] },
    msgBody: { type: 'object' },
    clientMessageId: UUID,
  },
})

const text = validator({
  type: 'object',
  required: ['msgBody'],
  properties: { msgBody: { type: 'object', required: ['text'], properties: { text: TEXT } } },
})
const media = validator({
  type: 'object',
  required: ['msgBody'],
  properties: {
    msgBody: {
      type: 'object',
      required: ['mediaUrl', 'mediaType'],
      properties: {
        mediaUrl: { type: 'string', minLength: 1, maxLength: 250 },
        mediaType: { type: 'string', minLength: 1, maxLength: 80 },
        mimeType: { type: 'string', maxLength: 255 },
        altText: { type: 'string', maxLength: 1000 },
      },
    },
  },
})
const reply = validator({
  type: 'object',
  required: ['msgBody'],
  properties: {
    msgBody: {
      type: 'object',
      required: ['replyMsgId', 'replyCreatedAt', 'replyText'],
      properties: { replyMsgId: UUID, replyCreatedAt: { type: 'string', format: 'timestamp' }, replyText: TEXT },
    },
  },
})

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
