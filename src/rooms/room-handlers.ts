/** The calls under /api/rooms, but for the timeline. */
import { type Handler, type RouteContext, respondEmpty, respondJson } from '../http/context.ts'
import { readJson, readOptionalJson } from '../http/json-body.ts'
import type { RateLimits } from '../http/rate-limits.ts'
import { requireUuid } from '../http/validate.ts'
import type { ReadStates } from './read-states.ts'
import type { RoomCreation } from './room-creation.ts'
import type { RoomImages } from './room-images.ts'
import type { RoomMembership } from './room-membership.ts'
import { parseMarkRead, parseMute, parseNewRoom } from './room-schema.ts'
import type { RoomService } from './room-service.ts'

const MAX_IMAGE_BYTES = 5 * 1024 * 1024

export type RoomServices = {
  rooms: RoomService
  creation: RoomCreation
  membership: RoomMembership
  readStates: ReadStates
  images: RoomImages
}

export function roomHandlers(services: RoomServices, limits: RateLimits) {
  const { rooms, creation, membership, readStates, images } = services
  return {
    list: async (ctx) => respondJson(ctx, await rooms.list(ctx.state.user)),
    get: async (ctx) => respondJson(ctx, await rooms.get(ctx.state.user, roomIdOf(ctx))),
    detailed: async (ctx) => respondJson(ctx, await rooms.getWithUsers(ctx.state.user, roomIdOf(ctx))),
    users: async (ctx) => respondJson(ctx, JSON.stringify(await rooms.members(ctx.state.user, roomIdOf(ctx)))),
    search: async (ctx) => {
      const otherId = requireUuid(ctx.query['withUser'], 'withUser')
      respondJson(ctx, JSON.stringify(await rooms.findPrivate(ctx.state.user, otherId)))
    },
    create: async (ctx) => {
      limits.createRoom(ctx.state.user.id)
      const room = await creation.create(ctx.state.user, parseNewRoom(await readJson(ctx.req)))
      respondJson(ctx, JSON.stringify(room))
    },
    leave: async (ctx) => {
      await membership.leave(ctx.state.user, roomIdOf(ctx))
      respondEmpty(ctx)
    },
    invite: async (ctx) => {
      await membership.invite(ctx.state.user, roomIdOf(ctx), requireUuid(ctx.params['user_id'], 'user_id'))
      respondEmpty(ctx)
    },
    markRead: async (ctx) => {
      const roomId = roomIdOf(ctx)
      const roomSeq = parseMarkRead(await readOptionalJson(ctx.req))
      await readStates.markRead(ctx.state.user, roomId, roomSeq)
      respondEmpty(ctx)
    },
    mute: async (ctx) => {
      const roomId = roomIdOf(ctx)
      await rooms.mute(ctx.state.user, roomId, parseMute(await readOptionalJson(ctx.req)))
      respondEmpty(ctx)
    },
    unmute: async (ctx) => {
      await rooms.unmute(ctx.state.user, roomIdOf(ctx))
      respondEmpty(ctx)
    },
    readers: async (ctx) => respondJson(ctx, JSON.stringify(await readStates.readers(ctx.state.user, roomIdOf(ctx)))),
    uploadImage: async (ctx) => {
      const roomId = roomIdOf(ctx)
      limits.upload(ctx.state.user.id)
      await images.authorise(ctx.state.user, roomId)
      // As room-images loads what reads pictures: for the first upload.
      const { readImage } = await import('../http/multipart.ts')
      const image = await readImage(ctx.req, { maxBytes: MAX_IMAGE_BYTES })
      respondJson(ctx, JSON.stringify(await images.upload(ctx.state.user, roomId, image)))
    },
  } satisfies Record<string, Handler>
}

function roomIdOf(ctx: RouteContext): string {
  return requireUuid(ctx.params['room_id'], 'room_id')
}
