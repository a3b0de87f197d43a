/** Messages: what a client may send, and the bodies that are kept. */
import type { MessageType } from '../log/event.ts'
import type { MessageRow } from '../log/event-json.ts'
import { messageTypeName } from '../log/event-json.ts'
import { invalid } from '../shared/app-error.ts'
import { type Preview, shorten } from './preview.ts'

export type TextBody = { text: string }

export type MediaBody = { mediaUrl: string; mediaType: string; mimeType: string | null; altText: string | null }

/** As a client sends it: the message that it quotes is looked up. */
export type ReplyRequest = { replyMsgId: string; replyCreatedAt: Date; replyText: string }

export type ReplyBody = {
  replyMsgId: string
  replySenderId: string
  replyMsgType: string
  replyCreatedAt: Date
  replyMsgDetails: TextBody | MediaBody | { reply_text: string }
  replyText: string
}

/** A validated request. */
export type NewMessage = { roomId: string; clientMessageId: string | null } & (
  | { type: 'Text'; body: TextBody }
  | { type: 'Media'; body: MediaBody }
  | { type: 'Reply'; body: ReplyRequest }
)

/** @throws AppError VALIDATION_ERROR for a RoomChange, which nobody said */
export function quote(quoted: MessageRow, replyText: string): ReplyBody {
  const body = JSON.parse(quoted.body)
  return {
    replyMsgId: quoted.messageId,
    replySenderId: quoted.senderId,
    replyMsgType: messageTypeName(quoted.messageType),
    replyCreatedAt: quoted.createdAt,
    replyMsgDetails: detailsOf(quoted.messageType, body),
    replyText,
  }
}

function detailsOf(type: MessageType, body: Record<string, unknown>): ReplyBody['replyMsgDetails'] {
  const { text, mediaUrl, mediaType, mimeType = null, altText = null, replyText } = body
  switch (messageTypeName(type)) {
    case 'Text':
      return { text } as TextBody
    case 'Media':
      return { mediaUrl, mediaType, mimeType, altText } as MediaBody
    case 'Reply':
      return { reply_text: replyText as string }
    default:
      throw invalid('replyMsgId: a RoomChange cannot be replied to')
  }
}

export function previewOf(message: NewMessage, senderName: string): Preview {
  switch (message.type) {
    case 'Text':
      return { type: 'Text', sender_username: senderName, text: shorten(message.body.text) }
    case 'Media':
      return { type: 'Media', sender_username: senderName, media_type: message.body.mediaType }
    case 'Reply':
      return { type: 'Reply', sender_username: senderName, reply_text: shorten(message.body.replyText) }
  }
}
