/** Work that is done in the order in which it came for each of its keys, and otherwise side by side. */

export type Place<Item> = {
  readonly item: Item
  readonly keys: readonly string[]
  /** Earlier places with a key of this one that are not done. */
  before: number
  readonly after: Place<Item>[]
}

export type InOrder<Item> = {
  add(item: Item, keys: readonly string[]): Place<Item>
  /** @returns the places that nothing is before any more */
  done(place: Place<Item>): Place<Item>[]
}

export function createInOrder<Item>(): InOrder<Item> {
  const lastOf = new Map<string, Place<Item>>()
  return {
    add(item, keys) {
      const place: Place<Item> = { item, keys: [...new Set(keys)], before: 0, after: [] }
      for (const key of place.keys) {
        const last = lastOf.get(key)
        lastOf.set(key, place)
        if (!last) continue
        last.after.push(place)
        place.before++
      }
      return place
    },
    done(place) {
      for (const key of place.keys) if (lastOf.get(key) === place) lastOf.delete(key)
      return place.after.filter((next) => --next.before === 0)
    },
  }
}
