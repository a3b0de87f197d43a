/** Pictures of rooms where ISM keeps them in a directory. */
import { describeRoomImages } from './room-images.suite.ts'

describeRoomImages('a directory', async () => ({ objects: {}, drop: async () => {} }))
