/** The data that the fixture fills in: people, relationships and rooms as ISM 0.7.9 leaves them, odd cases first. */
import { createRandom } from '../random.ts'
import { createPeople, type LegacyPerson } from './people.ts'
import { createRelationships, type LegacyRelationship } from './relationships.ts'
import { createRooms, type LegacyRoom } from './rooms.ts'

export type Community = {
  people: LegacyPerson[]
  relationships: LegacyRelationship[]
  rooms: LegacyRoom[]
}

/** The same for the same seed. */
export function createCommunity(seed = 79): Community {
  const random = createRandom(seed)
  const people = createPeople(random)
  const relationships = createRelationships(people)
  return { people, relationships, rooms: createRooms(random, people) }
}

/** @throws Error where nobody is called so: a test that asks for a case has to get it */
export function personNamed({ people }: Pick<Community, 'people'>, label: string): LegacyPerson {
  const person = people.find((candidate) => candidate.label === label)
  if (!person) throw new Error(`nobody is called ${label}`)
  return person
}

/** @throws Error where there is no such case */
export function roomCalled({ rooms }: Pick<Community, 'rooms'>, label: string): LegacyRoom {
  const room = rooms.find((candidate) => candidate.label === label)
  if (!room) throw new Error(`there is no room ${label}`)
  return room
}
