/** Every URL of ISM. */
import Router from '@koa/router'
import type { Authenticate } from './http/authenticate.ts'
import type { Handler, State } from './http/context.ts'
import type { HealthHandlers } from './http/health-handlers.ts'
import type { messageHandlers } from './messages/message-handlers.ts'
import type { notificationHandlers } from './notifications/notification-handlers.ts'
import type { presenceHandlers } from './presence/presence-handlers.ts'
import type { relationshipHandlers } from './relationships/relationship-handlers.ts'
import type { roomHandlers } from './rooms/room-handlers.ts'
import type { userHandlers } from './users/user-handlers.ts'

export type Handlers = {
  health: HealthHandlers
  objects: { get: Handler }
  users: ReturnType<typeof userHandlers>
  relationships: ReturnType<typeof relationshipHandlers>
  rooms: ReturnType<typeof roomHandlers>
  messages: ReturnType<typeof messageHandlers>
  notifications: ReturnType<typeof notificationHandlers>
  presence: ReturnType<typeof presenceHandlers>
  /** `undefined` where nobody may send any. */
  webhook: Handler | undefined
}

/** `authenticate` wraps whatever needs a token, `authenticateStream` the stream. */
export function createRouter(
  handlers: Handlers,
  authenticate: Authenticate,
  authenticateStream: Authenticate,
): Router<State> {
  const { health, objects, users, relationships, rooms, messages, notifications, presence, webhook } = handlers
  const router = new Router<State>({ strict: false })

  router.get('/', health.hello)
  router.get('/health', health.alive)
  router.get('/health/ready', health.ready)
  router.get('/metrics', health.metrics)
  router.get('/objects/*key', objects.get)

  router.get('/api/sse', authenticateStream(notifications.stream))
  router.post('/api/sse/ticket', authenticate(notifications.ticket))
  router.get('/api/notifications', authenticate(notifications.since))
  router.get('/api/notifications/cursor', authenticate(notifications.cursor))
  if (webhook) router.post('/api/notifications', webhook)

  router.post('/api/send-msg', authenticate(messages.send))

  router.post('/api/rooms/create-room', authenticate(rooms.create))
  router.get('/api/rooms', authenticate(rooms.list))
  router.get('/api/rooms/search', authenticate(rooms.search))
  router.get('/api/rooms/:room_id', authenticate(rooms.get))
  router.get('/api/rooms/:room_id/detailed', authenticate(rooms.detailed))
  router.get('/api/rooms/:room_id/users', authenticate(rooms.users))
  router.get('/api/rooms/:room_id/timeline', authenticate(messages.timeline))
  router.get('/api/rooms/:room_id/read-states', authenticate(rooms.readers))
  router.post('/api/rooms/:room_id/mark-read', authenticate(rooms.markRead))
  router.post('/api/rooms/:room_id/mute', authenticate(rooms.mute))
  router.delete('/api/rooms/:room_id/mute', authenticate(rooms.unmute))
  router.post('/api/rooms/:room_id/leave', authenticate(rooms.leave))
  router.post('/api/rooms/:room_id/invite/:user_id', authenticate(rooms.invite))
  router.post('/api/rooms/:room_id/upload-img', authenticate(rooms.uploadImage))

  router.get('/api/users/search', authenticate(users.search))
  router.get('/api/users/friends', authenticate(relationships.friends))
  router.get('/api/users/friends/requests', authenticate(relationships.requests))
  router.post('/api/users/friends/add/:user_id', authenticate(relationships.add))
  router.post('/api/users/friends/accept-request/:sender_id', authenticate(relationships.accept))
  router.delete('/api/users/friends/reject-request/:sender_id', authenticate(relationships.reject))
  router.delete('/api/users/friends/:friend_id', authenticate(relationships.remove))
  router.post('/api/users/ignore/:user_id', authenticate(relationships.block))
  router.delete('/api/users/ignore/:user_id', authenticate(relationships.unblock))
  router.get('/api/users/:user_id', authenticate(users.profile))
  router.get('/api/users/:user_id/presence', authenticate(presence.get))

  return router
}
