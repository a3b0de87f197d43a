/** Rooms and their members, as the wire has them. */
import { NEW_ROOM_PREVIEW, type Preview, parsePreview } from '../messages/preview.ts'
import type { ObjectUrls } from '../objects/object-urls.ts'

export type RoomType = 'Single' | 'Group'

export type MembershipStatus = 'Joined' | 'Left' | 'Invited'

/** A room as one of its members sees it. */
export type Room = {
  id: string
  roomType: RoomType
  roomImageUrl: string | null
  roomName: string | null
  createdAt: Date
  latestMessage: Date | null
  unread: boolean | null
  unreadCount: number
  latestMessagePreviewText: Preview
  /** The member wants no pushes of it now. */
  muted: boolean
  /** Until when; null: until undone, or not muted. */
  mutedUntil: Date | null
}

export type RoomMember = {
  id: string
  displayName: string
  profilePicture: string | null
  joinedAt: Date
  lastMessageReadAt: Date | null
  membershipStatus: MembershipStatus
}

export type RoomWithUsers = Room & { users: RoomMember[] }

/** A room's row as read for one member. */
export type RoomRow = Omit<Room, 'roomImageUrl' | 'latestMessagePreviewText'> & {
  /** The room's own image, as stored. */
  image: string | null
  /** In a Single room the other person's picture. */
  otherPicture: string | null
  preview: string | null
}

export function toRoom({ image, otherPicture, preview, ...row }: RoomRow, urls: ObjectUrls): Room {
  const own = image === null ? null : urls.url(urls.keyOf(image))
  return {
    ...row,
    roomImageUrl: row.roomType === 'Single' ? otherPicture : own,
    latestMessagePreviewText: parsePreview(preview),
  }
}

/** A room that was made a moment ago: nobody has read or sent anything. */
export function newRoom(room: Pick<Room, 'id' | 'roomType' | 'roomName' | 'roomImageUrl' | 'createdAt'>): Room {
  return {
    ...room,
    latestMessage: room.createdAt,
    unread: true,
    unreadCount: 0,
    latestMessagePreviewText: NEW_ROOM_PREVIEW,
    muted: false,
    mutedUntil: null,
  }
}
