/** The object store's adapters, held to the contract, and what is the directory's own. */

import { chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDirectoryObjectStore } from '../../src/objects/object-store-directory.ts'
import { describeObjectStore } from './object-store.contract.ts'

const temporary = () => mkdtemp(join(tmpdir(), 'ism objects '))

describeObjectStore('directory', async () => {
  const parent = await temporary()
  return {
    store: createDirectoryObjectStore(join(parent, 'made', 'on demand')),
    close: () => rm(parent, { recursive: true }),
  }
})

describe('the directory', () => {
  let parent: string
  let directory: string

  beforeEach(async () => {
    parent = await temporary()
    directory = join(parent, 'objects')
  })
  afterEach(() => rm(parent, { recursive: true }))

  const objectFiles = async () => (await readdir(directory)).filter((name) => name !== 'incoming')

  it('keeps its objects for the next process', async () => {
    await createDirectoryObjectStore(directory).put('a/b', Buffer.from('x'), 'image/jpeg')
    const object = await createDirectoryObjectStore(directory).get('a/b')
    expect(object).toMatchObject({ contentType: 'image/jpeg', size: 1 })
    expect(object && (await buffer(object.body)).toString()).toBe('x')
  })

  it('keeps an object beside others that its key is a folder of', async () => {
    const store = createDirectoryObjectStore(directory)
    const keys = ['a', 'a/b', 'a/b/c']
    for (const key of keys) await store.put(key, Buffer.from(key), 'text/plain')
    await store.delete('a/b')
    const stored = await Promise.all(keys.map(async (key) => (await store.get(key)) !== undefined))
    expect(stored).toEqual([true, false, true])
  })

  it('has one file an object and nothing half-done', async () => {
    const store = createDirectoryObjectStore(directory)
    await store.put('a', Buffer.from('x'), 'text/plain')
    await store.put('a', Buffer.from('y'), 'text/plain')
    await store.check()
    expect(await objectFiles()).toHaveLength(1)
    expect(await readdir(join(directory, 'incoming'))).toEqual([])
  })

  it('clears away what a killed process left, but not what another one is writing', async () => {
    const incoming = join(directory, 'incoming')
    await mkdir(incoming, { recursive: true })
    await writeFile(join(incoming, 'old'), 'x')
    await writeFile(join(incoming, 'new'), 'x')
    const yesterday = new Date(Date.now() - 86_400_000)
    await utimes(join(incoming, 'old'), yesterday, yesterday)
    await createDirectoryObjectStore(directory).put('a', Buffer.from('x'), 'text/plain')
    expect(await readdir(incoming)).toEqual(['new'])
  })

  it('does not follow a symbolic link, and replaces it', async () => {
    const store = createDirectoryObjectStore(directory)
    await store.put('a', Buffer.from('x'), 'text/plain')
    const [name = ''] = await objectFiles()
    const secret = join(parent, 'secret')
    await writeFile(secret, '{"key":"a","contentType":"text/plain","etag":"\\"e\\""}\nsecret')
    await rm(join(directory, name))
    await symlink(secret, join(directory, name))
    expect(await store.get('a')).toBeUndefined()
    await store.put('a', Buffer.from('y'), 'text/plain')
    const object = await store.get('a')
    expect(object && (await buffer(object.body)).toString()).toBe('y')
  })

  it('that cannot be written is 503, and works once it can', async () => {
    await writeFile(directory, 'a file where the directory should be')
    const store = createDirectoryObjectStore(directory)
    const unavailable = { code: 'SERVICE_UNAVAILABLE', message: 'The picture store is not available.' }
    await expect(store.put('a', Buffer.from('x'), 'text/plain')).rejects.toMatchObject(unavailable)
    await expect(store.check()).rejects.toMatchObject(unavailable)
    await rm(directory)
    await store.put('a', Buffer.from('x'), 'text/plain')
    expect(await store.get('a')).toBeDefined()
  })

  it('with a damaged file is 503 for that object alone', async () => {
    const store = createDirectoryObjectStore(directory)
    await store.put('a', Buffer.from('x'), 'text/plain')
    const [name = ''] = await objectFiles()
    await chmod(join(directory, name), 0o600)
    await writeFile(join(directory, name), '')
    await expect(store.get('a')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
    expect(await store.get('b')).toBeUndefined()
  })
})
