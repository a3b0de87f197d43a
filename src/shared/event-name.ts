/** The events that have a name on the wire, whoever they are for. */
export const EVENT_NAMES = [
  'ChatMessage',
  'RoomChangeEvent',
  'NewRoom',
  'LeaveRoom',
  'UserReadChat',
  'FriendRequestReceived',
  'FriendRequestAccepted',
  'SystemMessage',
] as const
export type EventName = (typeof EVENT_NAMES)[number]
