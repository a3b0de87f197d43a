/** Moving in from ISM 0.7.9: what its three stores hold is all there afterwards, and its clients go on as before. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { archived, holdArchive } from '../support/archive.ts'
import type { EventStream } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { withCassandra } from '../support/fixture-0.7.9/cassandra.ts'
import { personNamed, roomCalled } from '../support/fixture-0.7.9/community.ts'
import { LegacyService, type Outcome } from '../support/fixture-0.7.9/legacy-service.ts'
import type { LegacyPerson } from '../support/fixture-0.7.9/people.ts'
import { listKeys, pictureOf } from '../support/fixture-0.7.9/pictures.ts'
import type { LegacyRoom } from '../support/fixture-0.7.9/rooms.ts'
import { VARIABLES } from '../support/fixture-0.7.9/stores.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'
import { describeWith } from '../support/services.ts'
import { endProcesses } from '../support/test-process.ts'

const PAGE = 25

type Message = Answer['body']

describeWith(VARIABLES, 'moving in from ISM 0.7.9', (servers) => {
  let service: LegacyService
  const outcomes: Record<string, Outcome> = {}

  beforeAll(async () => {
    service = await LegacyService.create(servers)
    outcomes['check-config'] = await service.ism('check-config')
    outcomes['migrate'] = await service.ism('migrate')
    outcomes['migrate again'] = await service.ism('migrate')
    outcomes['init-keyspace'] = await service.ism('init-keyspace')
    outcomes['init-keyspace again'] = await service.ism('init-keyspace')
    outcomes['check-config --connect'] = await service.ism('check-config', '--connect')
    await Promise.all([service.node(), service.node()])
  }, 120_000)
  afterAll(async () => {
    await service?.close()
    await endProcesses()
  })

  const legacy = (label: string) => personNamed(service.community, label)
  const room = (label: string) => roomCalled(service.community, label)
  const person = (label: string) => service.person(legacy(label))
  const people = (...labels: string[]) => Promise.all(labels.map(person))

  async function forEachPerson(check: (person: Person, known: LegacyPerson) => Promise<void>): Promise<void> {
    for (const known of service.expected.people) await check(await service.person(known), known)
  }

  it('takes three commands on the configuration of 0.7.9, each of which may run twice', () => {
    for (const [command, { code, stderr }] of Object.entries(outcomes))
      expect({ command, stderr, code }).toMatchObject({ code: 0 })
    expect(outcomes['migrate']?.stdout).toMatch(/^\d+ migrations applied\n$/)
    expect(outcomes['init-keyspace']?.stdout).toMatch(/^\d+ migrations? applied\n$/)
    for (const command of ['migrate again', 'init-keyspace again'])
      expect(outcomes[command]?.stdout).toBe('nothing to do\n')
  })

  describe('at once', () => {
    it('everybody has their rooms: order, names, pictures, previews, times, unread', () =>
      forEachPerson(async (person, known) => {
        const expected = service.expected.roomsOf(known).map((each) => service.expected.room(each, known))
        expect((await person.get('/api/rooms')).body, known.label).toEqual(expected)
      }))

    it('every room has its members, those who left, were invited or were deleted too, and its readers', () =>
      forEachPerson(async (person, known) => {
        for (const each of service.expected.roomsOf(known)) {
          const users = service.expected.members(each)
          const [detailed, members, readers] = await Promise.all(
            ['detailed', 'users', 'read-states'].map((what) => person.get(`/api/rooms/${each.id}/${what}`)),
          )
          expect(detailed?.body, each.label).toEqual({ ...service.expected.room(each, known), users })
          expect(members?.body, each.label).toEqual(users)
          expect(readers?.body.map(({ id }: Message) => id).sort(), each.label).toEqual(service.expected.readers(each))
        }
      }))

    it('everybody sees everybody else as they were, and as what the two are to each other', () =>
      forEachPerson(async (person, known) => {
        for (const other of service.expected.people) {
          if (other === known) continue
          expect((await person.get(`/api/users/${other.id}`)).body).toEqual({
            user: service.expected.user(other),
            relationshipType: service.expected.relationshipType(known, other),
          })
        }
        const listed = async (path: string) => (await person.get(path)).body.map(({ id }: Message) => id).sort()
        const related = (type: string) => service.expected.related(known, type).sort()
        expect(await listed('/api/users/friends'), `${known.label}'s friends`).toEqual(related('FRIEND'))
        expect(await listed('/api/users/friends/requests'), `${known.label}'s requests`).toEqual(
          related('INVITE_RECEIVED'),
        )
      }))

    it('search finds everybody by their name but for the deleted, also who has no raw_name', async () => {
      const alice = await person('Alice')
      const search = async (text: string) => {
        const { body } = await alice.get(`/api/users/search?username=${encodeURIComponent(text)}`)
        return body.content.map(({ user }: Message) => user.id)
      }
      for (const other of service.expected.people) {
        if (other.label === 'Alice') continue
        expect(await search(other.displayName.toUpperCase().slice(0, 40)), other.label).toContain(other.id)
      }
      expect(await search('victor')).toEqual([])
      expect(await search('100%_\\')).toEqual([legacy('Emoji').id])
    })

    it('the deleted stay out', async () => {
      const alice = await person('Alice')
      for (const label of ['Deleted', 'Deleted namesake']) {
        expectRefusal(await (await person(label)).get('/api/rooms'), 'INSUFFICIENT_PERMISSIONS')
        expectRefusal(await alice.get(`/api/users/${legacy(label).id}`), 'CONTENT_NOT_FOUND')
      }
    })

    it('who left, was only invited, or never was in a room, stays out of it', async () => {
      const { id } = room('comings and goings')
      for (const outside of await people('Heidi', 'Niaj', 'Alice')) {
        expectRefusal(await outside.get(`/api/rooms/${id}`), 'CONTENT_NOT_FOUND')
        expectRefusal(await outside.get(`/api/rooms/${id}/timeline?timestamp=${now()}`), 'INSUFFICIENT_PERMISSIONS')
      }
    })

    it('the pictures are where they were, and readable under their keys', async () => {
      expect(service.pictures.size).toBeGreaterThan(3)
      const alice = await person('Alice')
      for (const [key, picture] of service.pictures) {
        const response = await fetch(`${alice.url}/objects/${key}`)
        expect(response.headers.get('content-type')).toBe('image/jpeg')
        expect(picture.equals(Buffer.from(await response.arrayBuffer()))).toBe(true)
      }
    })

    it('of two private rooms of a pair search gives the older one, and a third is refused', async () => {
      const [alice, bob] = (await people('Alice', 'Bob')) as [Person, Person]
      const [older] = [room('of Alice and Bob'), room('second of Alice and Bob')].sort(
        (a, b) => a.createdAt - b.createdAt,
      )
      for (const [one, other] of [
        [alice, bob],
        [bob, alice],
      ] as const)
        expect((await one.get(`/api/rooms/search?withUser=${other.id}`)).body).toBe(older?.id)
      const request = { roomType: 'Single', invitedUsers: [alice.id, bob.id] }
      expectRefusal(await alice.post('/api/rooms/create-room', request), 'VALIDATION_ERROR')
    })

    it('everybody reads every room to its beginning: nothing is missing, nothing comes twice', async () => {
      let pages = 0
      await forEachPerson(async (person, known) => {
        for (const each of service.expected.roomsOf(known)) {
          const read = await readTimeline(person, each.id)
          expect(inOrder(read.messages), each.label).toEqual(service.expected.messages(each))
          pages += read.pages.length
        }
      })
      expect(pages).toBeGreaterThan(1_000)
    })

    it('a page runs on past 25 only to the end of a tie', async () => {
      const carol = await person('Carol')
      const pagesOf = async (label: string) => (await readTimeline(carol, room(label).id)).pages
      expect(await pagesOf('tie of 2 over the edge')).toEqual([26, 25, 9])
      expect(await pagesOf('tie of 2 before the edge')).toEqual([25, 25, 10])
      expect(await pagesOf('tie of 3 over the edge')).toEqual([26, 25, 9])
      expect(await pagesOf('tie of 30 over the edge')).toEqual([40, 25, 15])
      expect(await pagesOf('tie of 30 at the beginning')).toEqual([25, 30, 0])
      expect(await pagesOf('tie of 30 and nothing else')).toEqual([30, 0])
      expect(await pagesOf('tie at the beginning, on a full page')).toEqual([25, 0])
    })
  })

  describe('from then on', () => {
    /** Since the move, by room, oldest first. */
    const news = new Map<string, Message[]>()
    const newsOf = (roomId: string) => news.get(roomId) ?? []
    /** As everybody but the sender's own device sees it. */
    const remember = (message: Message) =>
      news.set(message.chatRoomId, [...newsOf(message.chatRoomId), { ...message, clientMessageId: null }])
    const expectedMessages = (each: LegacyRoom) => [...newsOf(each.id).toReversed(), ...service.expected.messages(each)]

    async function send(
      sender: Person,
      message: { chatRoomId: string; msgType: string; msgBody: unknown },
    ): Promise<Message> {
      const { status, body } = await sender.post('/api/send-msg', message)
      expect({ status, body }).toMatchObject({ status: 200 })
      remember(body)
      return body
    }
    const say = (sender: Person, roomId: string, text: string) =>
      send(sender, { chatRoomId: roomId, msgType: 'Text', msgBody: { text } })

    /** The room is gone; what is left is walked on. */
    const forget = (each: LegacyRoom) => service.community.rooms.splice(service.community.rooms.indexOf(each), 1)
    const gone: LegacyRoom[] = []
    let releaseArchive = async () => {}

    it('mark-read reads old rooms too, and tells the others', async () => {
      const each = room('never read')
      const [bob, carol] = (await people('Bob', 'Carol')) as [Person, Person]
      const stream = await carol.stream()
      expect((await bob.get(`/api/rooms/${each.id}`)).body).toMatchObject({ unread: true, unreadCount: 0 })
      expect((await bob.post(`/api/rooms/${each.id}/mark-read`)).status).toBe(200)
      const event = await stream.next(({ type, roomId }) => type === 'UserReadChat' && roomId === each.id)
      expect(event).toMatchObject({ userId: bob.id, roomSeq: 0 })
      expect((await bob.get(`/api/rooms/${each.id}`)).body).toMatchObject({ unread: false, unreadCount: 0 })
      const readers = (await carol.get(`/api/rooms/${each.id}/read-states`)).body
      expect(readers).toMatchObject([{ id: bob.id }])
    })

    it('replies quote old messages of every kind, by the times that the timeline gives', async () => {
      const each = room('replies')
      const alice = await person('Alice')
      const old = (await readTimeline(alice, each.id)).messages
      const details: Record<string, (body: Message) => unknown> = {
        Text: (body) => body,
        Media: (body) => body,
        Reply: ({ replyText }) => ({ reply_text: replyText }),
      }
      // The very first three, and the last three, which are replies themselves.
      for (const quoted of [...old.slice(-3), ...old.slice(0, 3)]) {
        const msgBody = { replyMsgId: quoted.messageId, replyCreatedAt: quoted.createdAt, replyText: 'indeed' }
        const reply = await send(alice, { chatRoomId: each.id, msgType: 'Reply', msgBody })
        expect(reply.msgBody).toEqual({
          replyMsgId: quoted.messageId,
          replySenderId: quoted.senderId,
          replyMsgType: quoted.msgType,
          replyCreatedAt: quoted.createdAt,
          replyMsgDetails: details[quoted.msgType]?.(quoted.msgBody),
          replyText: 'indeed',
        })
      }
      expect(new Set(old.map(({ msgType }) => msgType))).toEqual(new Set(['Text', 'Media', 'Reply']))
    })

    it('nobody replies to an old RoomChange, nor to an old message of another room', async () => {
      const judy = await person('Judy')
      const { id: chatRoomId } = room('comings and goings')
      const change = (await readTimeline(judy, chatRoomId)).messages.find(({ msgType }) => msgType === 'RoomChange')
      const foreign = (await readTimeline(judy, room('with a deleted member').id)).messages[0]
      const reply = (quoted: Message) =>
        judy.post('/api/send-msg', {
          chatRoomId,
          msgType: 'Reply',
          msgBody: { replyMsgId: quoted.messageId, replyCreatedAt: quoted.createdAt, replyText: 'indeed' },
        })
      expectRefusal(await reply(change), 'VALIDATION_ERROR')
      expectRefusal(await reply(foreign), 'CONTENT_NOT_FOUND')
    })

    it('who is invited reads all of the history: who had left, was only invited then, or is new', async () => {
      const each = room('comings and goings')
      const judy = await person('Judy')
      const stream = await judy.stream()
      for (const guest of await people('Heidi', 'Niaj', 'Roomless')) {
        expect((await judy.post(`/api/rooms/${each.id}/invite/${guest.id}`)).status).toBe(200)
        const { message } = await stream.next(
          (event) => event.type === 'RoomChangeEvent' && event['message'].senderId === guest.id,
        )
        expect(message.msgBody).toMatchObject({ type: 'UserJoined', related_user: { membershipStatus: 'Joined' } })
        remember(message)
        const member = each.members.find(({ userId }) => userId === guest.id)
        if (member) member.state = 'Joined'
        else each.members.push({ userId: guest.id, joinedAt: Date.now() * 1_000, readAt: null, state: 'Joined' })
        expect(inOrder((await readTimeline(guest, each.id)).messages)).toEqual(expectedMessages(each))
      }
    })

    it('a new picture takes the place of the old one', async () => {
      const each = room('with a picture')
      const [sybil, trent] = (await people('Sybil', 'Trent')) as [Person, Person]
      const form = new FormData()
      form.append(
        'image',
        new Blob([new Uint8Array(await pictureOf('#123456', 800, 600))], { type: 'image/jpeg' }),
        'x.jpg',
      )
      const { status, body } = await sybil.raw('POST', `/api/rooms/${each.id}/upload-img`, form)
      expect({ status, body }).toMatchObject({ status: 200 })
      const { bucket, s3 } = service.stores
      const key = body.imageUrl.slice(bucket.length + 1)
      expect(body).toEqual({ imageUrl: `${bucket}/${key}`, imageName: `${bucket}/${key}.jpeg` })
      expect((await trent.get(`/api/rooms/${each.id}`)).body.roomImageUrl).toBe(body.imageUrl)
      expect((await fetch(`${trent.url}/objects/${key}`)).status).toBe(200)
      expect((await fetch(`${trent.url}/objects/${each.id}`)).status).toBe(404)
      await eventually('the old one is gone', async () => !(await listKeys(s3, bucket)).includes(each.id))
      expect(await listKeys(s3, bucket)).toHaveLength(service.pictures.size)
    })

    it('friends, requests and blocks go on, whichever way round they were kept', async () => {
      const [bob, carol, peggy, judy] = (await people('Bob', 'Carol', 'Peggy', 'Judy')) as [
        Person,
        Person,
        Person,
        Person,
      ]
      const type = async (viewer: Person, other: Person) =>
        (await viewer.get(`/api/users/${other.id}`)).body.relationshipType
      const friends = async (viewer: Person) =>
        (await viewer.get('/api/users/friends')).body.map(({ id }: Message) => id)
      const friendsOfBob = legacy('Bob').friendsCount

      expect((await bob.post(`/api/users/friends/accept-request/${judy.id}`)).status).toBe(200)
      expect([await type(bob, judy), await type(judy, bob)]).toEqual(['FRIEND', 'FRIEND'])
      expect((await carol.get(`/api/users/${bob.id}`)).body.user.friendsCount).toBe(friendsOfBob + 1)

      // The pair was there twice: the row that did not count does not come back.
      expect((await carol.delete(`/api/users/friends/${peggy.id}`)).status).toBe(200)
      expect([await type(carol, peggy), await type(peggy, carol)]).toEqual([null, null])
      expect(await friends(carol)).not.toContain(peggy.id)
      expect((await peggy.get('/api/users/friends/requests')).body).toEqual([])

      const olivia = await person('Olivia')
      expect((await bob.delete(`/api/users/ignore/${olivia.id}`)).body).toEqual({ state: 'CLIENT_GOT_BLOCKED' })
      expect((await olivia.delete(`/api/users/ignore/${bob.id}`)).body).toEqual({ state: null })
    })

    it('a private room that is left is gone for both', async () => {
      const each = room('with a long name')
      const [longest, emoji] = (await people('Longest', 'Emoji')) as [Person, Person]
      const streams = await Promise.all([longest.stream(), emoji.stream()])
      expect((await emoji.post(`/api/rooms/${each.id}/leave`)).status).toBe(200)
      for (const stream of streams) await stream.next(({ type, roomId }) => type === 'LeaveRoom' && roomId === each.id)
      for (const member of [longest, emoji])
        expectRefusal(await member.get(`/api/rooms/${each.id}`), 'CONTENT_NOT_FOUND')
      gone.push(...forget(each))
    })

    it('the last to leave an old group takes its picture along', async () => {
      const each = room('left by all but one')
      const peggy = await person('Peggy')
      expect((await peggy.post(`/api/rooms/${each.id}/leave`)).status).toBe(200)
      const { bucket, s3 } = service.stores
      await eventually('its picture is gone', async () => !(await listKeys(s3, bucket)).includes(each.id))
      gone.push(...forget(each))
    })

    it('a block ends both private rooms of a pair that had two', async () => {
      const rooms = [room('of Alice and Bob'), room('second of Alice and Bob')]
      const [alice, bob] = (await people('Alice', 'Bob')) as [Person, Person]
      const stream = await bob.stream()
      expect((await alice.post(`/api/users/ignore/${bob.id}`)).body).toEqual({ state: 'CLIENT_BLOCKED' })
      for (const { id } of rooms) await stream.next(({ type, roomId }) => type === 'LeaveRoom' && roomId === id)
      expect((await bob.get(`/api/rooms/search?withUser=${alice.id}`)).body).toBeNull()
      for (const each of rooms) gone.push(...forget(each))
    })

    it('messages go on in every room from its last one, and reach everybody in it', async () => {
      releaseArchive = await holdArchive(service)
      const streams = new Map<string, EventStream>()
      await forEachPerson(async (person) => void streams.set(person.id, await person.stream()))
      const heard = new Map([...streams.keys()].map((id): [string, string[]] => [id, []]))
      for (const [n, each] of service.community.rooms.entries()) {
        const members = service.expected.joined(each)
        // So many that the seam between new and old comes on every place of a page.
        for (let count = 1; count <= n % (PAGE + 2); count++) {
          const before = expectedMessages(each)[0]
          const sender = await service.person(members[count % members.length] as LegacyPerson)
          const message = await say(sender, each.id, `new ${count}`)
          expect(message).toMatchObject({ roomSeq: (before?.roomSeq ?? 0) + 1, senderId: sender.id })
          expect(message.createdAt > (before?.createdAt ?? '')).toBe(true)
          for (const { id } of members) heard.get(id)?.push(message.messageId)
        }
      }
      for (const [id, stream] of streams) {
        const expected = heard.get(id) ?? []
        await stream.until(() => stream.ofType('ChatMessage').length >= expected.length, 'all that was said')
        expect(stream.ofType('ChatMessage').map(({ message }) => message.messageId)).toEqual(expected)
        stream.close()
      }
    })

    async function everybodyReadsEverything(): Promise<void> {
      await forEachPerson(async (person, known) => {
        for (const each of service.expected.roomsOf(known))
          expect(inOrder((await readTimeline(person, each.id)).messages), each.label).toEqual(expectedMessages(each))
      })
    }

    it('every timeline runs from the log into the old table without seam, repeat or hole', everybodyReadsEverything)

    it('and from the new table, once that has all of the new ones', async () => {
      await releaseArchive()
      await archived(service)
      const [row] = await cassandra('select count(*) as count from message')
      expect(Number(row?.['count'])).toBe([...news.values()].flat().length)
      await everybodyReadsEverything()
    })

    it("0.7.9's table has lost the messages of rooms that are gone, and nothing else", async () => {
      expect(gone).toHaveLength(4)
      for (const { id, messages } of gone) {
        expect(messages.length).toBeGreaterThan(0)
        expect(await cassandra('select message_id from chat_messages where chat_room_id = ?', [id])).toEqual([])
      }
      const rows = await cassandra('select message_id, msg_body from chat_messages')
      const bodies = new Map(rows.map((row) => [String(row['message_id']), row['msg_body']]))
      expect(bodies).toEqual(
        new Map(service.community.rooms.flatMap((each) => each.messages.map(({ id, body }) => [id, body]))),
      )
    })

    it('a new message counts as unread until it is read, however much of the old was', async () => {
      const each = room('tie of 2 over the edge')
      const [carol, dave] = (await people('Carol', 'Dave')) as [Person, Person]
      expect((await dave.post(`/api/rooms/${each.id}/mark-read`)).status).toBe(200)
      await say(carol, each.id, 'for Dave')
      expect((await carol.get(`/api/rooms/${each.id}`)).body).toMatchObject({ unread: false, unreadCount: 0 })
      expect((await dave.get(`/api/rooms/${each.id}`)).body).toMatchObject({ unread: true, unreadCount: 1 })
      expect((await dave.get('/api/rooms')).body[0]).toMatchObject({ id: each.id, unreadCount: 1 })
    })
  })

  async function cassandra(query: string, params: unknown[] = []) {
    const { cassandra: cluster, keyspace } = service.stores
    return withCassandra(
      { ...cluster, keyspace },
      async (client) => (await client.execute(query, params, { prepare: true })).rows,
    )
  }
})

const now = () => new Date().toISOString()

/** As a client scrolls: from now, each page before the last message of the one before, until one is short. */
async function readTimeline(person: Person, roomId: string): Promise<{ messages: Message[]; pages: number[] }> {
  const messages: Message[] = []
  const pages: number[] = []
  for (let before = new Date(Date.now() + 60_000).toISOString(); ; before = messages.at(-1).createdAt) {
    const { status, body } = await person.get(`/api/rooms/${roomId}/timeline?timestamp=${before}`)
    expect({ status, body }).toMatchObject({ status: 200 })
    messages.push(...body)
    pages.push(body.length)
    if (body.length < PAGE) return { messages, pages }
  }
}

/** Checks that times only fall, and puts those of one time in the order of their ids. */
function inOrder(messages: Message[]): Message[] {
  const times = messages.map(({ createdAt }) => createdAt)
  expect(times).toEqual([...times].sort().reverse())
  return [...messages].sort((a, b) =>
    a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : a.messageId < b.messageId ? -1 : 1,
  )
}
