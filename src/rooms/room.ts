/** Rooms and their members, as the wire has them. */
import { NEW_ROOM_PREVIEW, type Preview, previewJson } from '../messages/preview.ts'
import type { ObjectUrls } from '../objects/object-urls.ts'
import { wireTime } from '../shared/timestamp.ts'

export type RoomType = 'Single' | 'Group'

export type MembershipStatus = 'Joined' | 'Left' | 'Invited'

/** A room as one of its members sees it. */
export type Room = {
  id: string
  roomType: RoomType
  roomImageUrl: string | null
  roomName: string | null
  createdAt: string
  latestMessage: string
  unread: boolean | null
  unreadCount: number
  latestMessagePreviewText: Preview
  /** The member wants no pushes of it now. */
  muted: boolean
  /** Until when; null: until undone, or not muted. */
  mutedUntil: string | null
}

export type RoomMember = {
  id: string
  displayName: string
  profilePicture: string | null
  joinedAt: Date
  lastMessageReadAt: Date | null
  membershipStatus: MembershipStatus
}

/** A room's columns as read for one member; times as `wireTime` takes them. */
export type RoomRow = [
  id: string,
  roomType: RoomType,
  roomName: string | null,
  /** The room's own, as stored; in a Single room the other person's picture. */
  image: string | null,
  createdAt: string,
  latestMessage: string,
  /** JSON, of the newest message in the log. */
  logPreview: string | null,
  /** Where the log has none: it may be from ISM 0.7.9, and be cut off. */
  storedPreview: string | null,
  unreadCount: number,
  unread: boolean,
  /** null: not muted; `infinity`: until undone. */
  mutedUntil: string | null,
]

/** Field by field, the log's preview as it is: to make an object and parse the preview for it takes several times as long. */
export function roomJson(row: RoomRow, urls: ObjectUrls): string {
  const [id, type, name, image, createdAt, latestMessage, logPreview, storedPreview, unreadCount, unread, mutedUntil] =
    row
  const imageUrl = type === 'Single' || image === null ? image : urls.url(urls.keyOf(image))
  const hasEnd = mutedUntil !== null && mutedUntil !== 'infinity'
  return (
    `{"id":"${id}","roomType":"${type}","roomImageUrl":${textJson(imageUrl)},"roomName":${textJson(name)},` +
    `"createdAt":"${wireTime(createdAt)}","latestMessage":"${wireTime(latestMessage)}","unread":${unread},` +
    `"unreadCount":${unreadCount},"latestMessagePreviewText":${logPreview ?? previewJson(storedPreview)},` +
    `"muted":${mutedUntil !== null},"mutedUntil":${hasEnd ? `"${wireTime(mutedUntil)}"` : 'null'}}`
  )
}

/** By appending: `join` takes three times as long. */
export function roomsJson(rows: readonly RoomRow[], urls: ObjectUrls): string {
  let rooms = ''
  for (const row of rows) rooms += `${rooms === '' ? '' : ','}${roomJson(row, urls)}`
  return `[${rooms}]`
}

const textJson = (text: string | null) => (text === null ? 'null' : JSON.stringify(text))

/** A room that was made a moment ago: nobody has read or sent anything. */
export function newRoom(room: Pick<Room, 'id' | 'roomType' | 'roomName' | 'roomImageUrl'> & { createdAt: Date }): Room {
  const createdAt = room.createdAt.toISOString()
  return {
    ...room,
    createdAt,
    latestMessage: createdAt,
    unread: true,
    unreadCount: 0,
    latestMessagePreviewText: NEW_ROOM_PREVIEW,
    muted: false,
    mutedUntil: null,
  }
}
