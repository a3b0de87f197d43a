/** The lines to paste: a POSIX shell takes the room's id out of the answer, and quotes survive. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { welcome } from '../../src/cli/first-chat.ts'

const PEOPLE = ['alice', 'bob', 'carol'].map((name) => ({ name, id: `id-of-${name}`, token: `token-of-${name}` }))
const ROOM = '0190c2a4-7d1e-7e8a-9f00-0123456789ab'

const text = welcome({ host: '0.0.0.0', port: 5403, dataDirectory: '/data', people: PEOPLE, tokenOptions: '' })

test('an address that listens everywhere is shown as one to reach', () => {
  expect(text).toContain('ISM listens on http://127.0.0.1:5403\n')
})

test('sh makes a room of alice and bob, and sends into the room of the answer', async () => {
  const lines = text.split('\n')
  const first = lines.findIndex((line) => line.startsWith('ROOM='))
  // In the place of curl: answers like the server, and shows what it was called with.
  const answer = JSON.stringify({ id: ROOM, roomName: 'First chat', users: [{ id: 'somebody-else' }] })
  const curl = `curl() { case "$2" in */create-room) echo '${answer}';; *) printf '%s\\n' "$@";; esac; }`
  const { stdout } = await promisify(execFile)('sh', ['-c', [curl, ...lines.slice(first, first + 2)].join('\n')])
  const words = stdout.trim().split('\n')
  expect(words).toContain('http://127.0.0.1:5403/api/send-msg')
  expect(words).toContain('Authorization: Bearer token-of-alice')
  expect(JSON.parse(words.at(-1) ?? '')).toMatchObject({ chatRoomId: ROOM, msgType: 'Text' })
})
