/** What `ism serve --embedded` prints once it listens: where it is, who is there, and a first chat to paste. */

export type Person = { name: string; id: string; token: string }

export type Welcome = {
  host: string
  port: number
  dataDirectory: string
  people: readonly Person[]
  /** Options that `ism token` needs to find the same data directory. */
  tokenOptions: string
}

export function welcome({ host, port, dataDirectory, people, tokenOptions }: Welcome): string {
  const root = rootUrl({ host, port })
  const width = Math.max(...people.map(({ name }) => name.length))
  const lines = [
    `ISM listens on ${root}`,
    `Data directory: ${dataDirectory}`,
    '',
    ...people.map(({ name, id }) => `  ${name.padEnd(width)}  ${id}`),
    ...firstChat(root, people),
    '',
    `A token for anybody: npx ism token NAME${tokenOptions}`,
    'Ctrl-C stops ISM and its database; the data stays.',
  ]
  return `${lines.join('\n')}\n`
}

function firstChat(root: string, people: readonly Person[]): string[] {
  const alice = people.find(({ name }) => name === 'alice')
  const bob = people.find(({ name }) => name === 'bob')
  if (!alice || !bob) return []
  const room = JSON.stringify({ roomType: 'Group', roomName: 'First chat', invitedUsers: [alice.id, bob.id] })
  const message = `{"chatRoomId":"'"$ROOM"'","msgType":"Text","msgBody":{"text":"Hello Bob, this is Alice."}}`
  // The first `"id"` of the answer is the room's; what sed leaves is what stands in its quotes.
  const roomId = `sed 's/"id":"\\([^"]*\\)".*/\\1/; s/.*[^0-9a-f-]//'`
  return [
    '',
    "A first chat. In a second terminal, open bob's stream:",
    '',
    `curl -sN ${root}/api/sse ${bearer(bob)}`,
    '',
    'In a third one, make a room of alice and bob, and send him a message:',
    '',
    `ROOM=$(${post(`${root}/api/rooms/create-room`, alice, room)} | ${roomId})`,
    post(`${root}/api/send-msg`, alice, message),
  ]
}

const bearer = ({ token }: Person) => `-H 'Authorization: Bearer ${token}'`

const post = (url: string, person: Person, body: string) =>
  `curl -s ${url} ${bearer(person)} -H 'Content-Type: application/json' -d '${body}'`

/** Where a client on this machine reaches a server that listens there. */
export function rootUrl({ host, port }: { host: string; port: number }): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
