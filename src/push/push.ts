/** A push: an event for people who had no stream, in the shape that ISM 0.7.9 gave it. */

export type Push = {
  seq: number
  /** When the event was logged, in milliseconds by PostgreSQL's clock. */
  loggedAt: number
  /** At most MAX_USERS, who all see the event alike. */
  users: readonly string[]
  /** The event's JSON, as a stream shows it. */
  notification: string
  /** How often it was tried. */
  attempts: number
}

export const MAX_USERS = 1_000

export const KAFKA = 'push:kafka'
export const HTTP = 'push:http'

/** The people of one room get one event after another: their ids are put into JSON once. */
const lists = new WeakMap<readonly string[], string>()

export function pushJson({ users, notification }: Pick<Push, 'users' | 'notification'>): string {
  let list = lists.get(users)
  if (list === undefined) {
    list = JSON.stringify(users)
    lists.set(users, list)
  }
  return `{"to_user":${list},"notification":${notification}}`
}

/** About what it takes on the wire. */
export function sizeOf({ users, notification }: Push): number {
  return notification.length + users.length * 39
}
