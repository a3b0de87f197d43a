/** The S3 adapter on what servers may answer, and the one of the other tests does not. */
import { expect, it } from 'vitest'
import type { S3Config } from '../../src/config/config.ts'
import { createS3ObjectStore } from '../../src/objects/object-store-s3.ts'
import { refuse, type StubAnswer, startS3Stub } from '../support/s3-stub.ts'

const UNAVAILABLE = { code: 'SERVICE_UNAVAILABLE', message: 'The picture store is not available.' }

async function openOn(answer: StubAnswer, overrides: Partial<S3Config> = {}) {
  const endpoint = await startS3Stub(answer)
  return createS3ObjectStore({
    provider: 's3',
    endpoint,
    region: 'us-east-1',
    accessKey: 'key',
    secretKey: 'secret',
    bucket: 'pictures',
    pathStyle: true,
    createBucket: false,
    ...overrides,
  })
}

it('makes the bucket in the region that is configured', async () => {
  const made: string[] = []
  const server: StubAnswer = (req, res, body) => {
    if (req.method === 'PUT' && req.url === '/pictures/') made.push(body)
    res.writeHead(req.method === 'HEAD' ? 404 : 200).end()
  }
  for (const region of ['us-east-1', 'eu-west-1']) {
    const store = await openOn(server, { createBucket: true, region })
    await store.put('key', Buffer.from('x'), 'image/jpeg')
  }
  expect(made).toEqual(['', expect.stringContaining('<LocationConstraint>eu-west-1</LocationConstraint>')])
})

it('makes no bucket where it may not look whether there is one', async () => {
  const requests: string[] = []
  const store = await openOn(
    (req, res) => {
      requests.push(`${req.method} ${req.url?.replace(/\?.*/, '')}`)
      res.writeHead(req.method === 'HEAD' ? 403 : 200).end()
    },
    { createBucket: true },
  )
  await store.put('key', Buffer.from('x'), 'image/jpeg')
  await store.delete('key')
  expect(requests).toEqual(['HEAD /pictures/', 'PUT /pictures/key', 'DELETE /pictures/key'])
})

it.each(['W/"weak"', 'unquoted', '""', undefined])(
  'has a strong tag of its own where the server sends %s',
  async (tag) => {
    let size = 10
    const store = await openOn((_, res) => {
      res.writeHead(200, {
        'content-length': size,
        'last-modified': 'Mon, 23 Nov 2026 20:00:00 GMT',
        ...(tag && { etag: tag }),
      })
      res.end()
    })
    const [first, same, otherKey] = [await store.head('a'), await store.head('a'), await store.head('b')]
    size = 11
    const tags = [first, otherKey, await store.head('a')].map((info) => info?.etag)
    expect(tags[0]).toMatch(/^"[\w-]{43}"$/)
    expect(same?.etag).toBe(tags[0])
    expect(new Set(tags).size).toBe(3)
  },
)

it('does not pass the whole off as a part, where the server ignores that only a part is wanted', async () => {
  const store = await openOn((_, res) => res.end('0123456789'))
  await expect(store.get('key', { start: 2, end: 3 })).rejects.toMatchObject(UNAVAILABLE)
})

it.each([
  ['AccessDenied', 403],
  ['NoSuchBucket', 404],
  ['InternalError', 500],
  ['SlowDown', 503],
])('%s is not taken for an object that is missing', async (code, status) => {
  const store = await openOn((_, res) => refuse(res, status, code))
  await expect(store.get('key')).rejects.toMatchObject(UNAVAILABLE)
  await expect(store.put('key', Buffer.from('x'), 'image/jpeg')).rejects.toMatchObject(UNAVAILABLE)
})

it('does what a server refused once because it was busy', async () => {
  let requests = 0
  const store = await openOn((_, res) => (++requests === 1 ? refuse(res, 503, 'SlowDown') : res.end()))
  await store.put('key', Buffer.from('x'), 'image/jpeg')
  expect(requests).toBe(2)
})
