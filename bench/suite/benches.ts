/** All benches, in the order of the table of targets. */
import { archive } from '../archive/main.ts'
import { connectStorm } from '../connect-storm/main.ts'
import { memory } from '../memory/main.ts'
import { mixed } from '../mixed/main.ts'
import { quietRooms } from '../quiet-rooms/main.ts'
import { resume } from '../resume/main.ts'
import { roomList } from '../room-list/main.ts'
import { send } from '../send/main.ts'
import { snapshot } from '../snapshot/main.ts'
import { startUp } from '../start-up/main.ts'
import { streams } from '../streams/main.ts'
import { timeline } from '../timeline/main.ts'
import { token } from '../token/main.ts'
import type { Bench } from './bench.ts'

export const BENCHES: readonly Bench[] = [
  send,
  quietRooms,
  snapshot,
  archive,
  timeline,
  roomList,
  token,
  streams,
  mixed,
  resume,
  connectStorm,
  startUp,
  memory,
]
