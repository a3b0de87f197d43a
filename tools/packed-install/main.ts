/**
 * Proves the package as operators get it: packs it, installs it with production dependencies alone into an empty
 * directory as an unprivileged user, and runs it from there on the real servers that ISM_TEST_… variables name.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { freePort } from '../../src/embedded/free-port.ts'
import { eventually } from '../../tests/support/eventually.ts'
import { passwordGrant } from '../../tests/support/keycloak.ts'
import { Person } from '../../tests/support/person.ts'
import { TestProcess } from '../../tests/support/test-process.ts'
import { environment, makePlace, type Place } from './place.ts'
import { type Addresses, makeServers, type Servers, VARIABLES } from './servers.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PACKED = /^(bin|dist|migrations|cql|templates|docs)\/|^(LICENSE|README\.md|package\.json)$/
const NOT_FOR_OPERATORS = /\.(map|ts)$|\/\.[^/]*$/

async function main(): Promise<number> {
  const missing = VARIABLES.filter((name) => !process.env[name])
  if (missing.length > 0) {
    say(`skipped, set ${missing.join(', ')}`)
    return process.env['CI'] ? 1 : 0
  }
  const addresses = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]])) as Addresses
  const servers = await makeServers(addresses)
  const place = await makePlace()
  try {
    await prove(addresses, servers, place)
    return 0
  } catch (error) {
    say(`failed: ${error instanceof Error ? error.message : error}`)
    return 1
  } finally {
    await place.remove()
    await servers.remove()
  }
}

async function prove(addresses: Addresses, servers: Servers, place: Place): Promise<void> {
  const { name, version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  const modules = join(place.program, 'node_modules')
  const binary = join(modules, '.bin/ism')
  const ism = (...parameters: string[]) => outputOf(place.start(binary, parameters))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`

  const archive = await step('npm pack takes what is needed and nothing else', () => pack(place.directory))
  await step(`npm install --omit=dev, as ${place.user}`, async () => {
    await outputOf(place.install(archive))
    const installed = await readdir(modules)
    for (const tool of ['typescript', 'vitest', 'tsx']) expect(!installed.includes(tool), `${tool} is not installed`)
  })
  await place.configure(servers.configuration(port))
  await step('the program and its working directory are read only from now on', () => place.makeReadOnly())

  await step('ism --version', async () => expect((await ism('--version')) === `${version}\n`, `it is ${version}`))
  await step('ism check-config', () => ism('check-config'))
  for (const command of ['migrate', 'init-keyspace']) {
    await step(`ism ${command}, twice`, async () => {
      await ism(command)
      await ism(command)
      const { applied, pending } = JSON.parse(await ism(command, 'status', '--json'))
      expect(applied.length > 0 && pending.length === 0, `all of it is applied, and not ${pending.join(', ')}`)
    })
  }
  await step('ism check-config --connect', async () => {
    const { checks } = JSON.parse(await ism('check-config', '--connect', '--json'))
    expect(checks.length === 4, `it tries three stores and the issuer: ${JSON.stringify(checks)}`)
  })

  const serve = async () => {
    const server = place.start(binary, ['serve'])
    await server.until('where it listens', (output) => output.includes('"msg":"listening"'))
    return server
  }
  let server = await step('ism serve', serve)
  await step('every store is ready', () => isReady(url))
  await step("the image's health check", () =>
    outputOf(place.start(process.execPath, [join(modules, name, 'bin/healthcheck.js')])),
  )
  const people = await step('alice and bob log in at Keycloak', () => logIn(addresses, url))
  const room = await step('a message comes in the stream and stands in the timeline', () => chat(people))
  await step('a picture is stored and served', () => sendPicture(people.alice, room))
  await step('the archive has taken it all', () =>
    eventually('no lag', async () => {
      const { projections } = JSON.parse(await ism('status', '--json'))
      return projections.length > 0 && projections.every(({ lag }: { lag: number }) => lag === 0)
    }),
  )
  await step('SIGTERM ends it with exit code 0', () => stop(server))
  server = await step('ism serve again', serve)
  await step('the message is still there', () => isInTimeline(people.bob, room))
  await step('SIGTERM ends it again', () => stop(server))
}

/** @returns the archive's path */
async function pack(directory: string): Promise<string> {
  // In the checkout, as whoever owns it: packing compiles what is newer than dist/.
  const options = { cwd: ROOT, env: environment() }
  const output = await outputOf(new TestProcess('npm', ['pack', '--json', '--pack-destination', directory], options))
  const [{ filename, files }] = JSON.parse(output)
  const paths: string[] = files.map(({ path }: { path: string }) => path)
  const wanted = ['LICENSE', 'bin/ism.js', 'bin/healthcheck.js', 'dist/cli/main.js']
  for (const folder of ['migrations', 'cql', 'templates']) {
    const entries = await readdir(join(ROOT, folder), { withFileTypes: true, recursive: true })
    wanted.push(
      ...entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length)),
    )
  }
  for (const path of wanted) expect(paths.includes(path), `${path} is packed`)
  const unwanted = paths.filter((path) => !PACKED.test(path) || NOT_FOR_OPERATORS.test(path))
  expect(unwanted.length === 0, `nothing else is packed: ${unwanted.join(', ')}`)
  return join(directory, filename)
}

async function isReady(url: string): Promise<void> {
  await eventually('ready', async () => {
    const response = await fetch(`${url}/health/ready`)
    const { stores } = (await response.json()) as { stores: { ok: boolean }[] }
    return response.ok && stores.length === 3 && stores.every(({ ok }) => ok)
  })
}

type People = { alice: Person; bob: Person }

async function logIn(addresses: Addresses, url: string): Promise<People> {
  const realm = `${addresses.ISM_TEST_KEYCLOAK_URL}/realms/${addresses.ISM_TEST_KEYCLOAK_REALM}`
  const { ISM_TEST_KEYCLOAK_CLIENT: client, ISM_TEST_KEYCLOAK_PASSWORD: password } = addresses
  const come = async (name: string, id: string) => {
    const { access_token: token } = await passwordGrant(realm, { client, user: name, password })
    const person = new Person(url, id, name, token)
    const { body } = await person.get(`/api/users/${id}`)
    expect(body.user?.displayName === name, `ISM knows ${name}: ${JSON.stringify(body)}`)
    return person
  }
  return {
    alice: await come('alice', addresses.ISM_TEST_KEYCLOAK_ALICE),
    bob: await come('bob', addresses.ISM_TEST_KEYCLOAK_BOB),
  }
}

const TEXT = 'Hello Bob'

/** @returns the room's id */
async function chat({ alice, bob }: People): Promise<string> {
  const stream = await bob.stream()
  const room = await alice.createRoom([bob], 'Tea')
  const { status } = await alice.send(room, TEXT)
  expect(status === 200, `the send is answered 200, not ${status}`)
  await stream.next(({ message }) => message?.msgBody.text === TEXT, "the message in bob's stream")
  stream.close()
  await isInTimeline(bob, room)
  return room
}

async function isInTimeline(reader: Person, room: string): Promise<void> {
  const timeline = await reader.timeline(room)
  expect(timeline[0]?.msgBody.text === TEXT, `the message is the newest: ${JSON.stringify(timeline)}`)
}

async function sendPicture(sender: Person, room: string): Promise<void> {
  const picture = await sharp({ create: { width: 600, height: 400, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
  const form = new FormData()
  form.set('image', new Blob([new Uint8Array(picture)]), 'teal.png')
  const { body } = await sender.raw('POST', `/api/rooms/${room}/upload-img`, form)
  const response = await fetch(body.imageUrl)
  const { format, width } = await sharp(Buffer.from(await response.arrayBuffer())).metadata()
  expect(format === 'jpeg' && width === 500, `it is a JPEG, 500 pixels wide: ${format}, ${width}`)
}

async function stop(server: TestProcess): Promise<void> {
  const { code } = await server.kill('SIGTERM')
  expect(code === 0, `the exit code is 0, not ${code}: ${server.output.slice(-2_000)}`)
}

/** @throws Error where it fails */
async function outputOf(program: TestProcess): Promise<string> {
  const { code } = await program.exited
  expect(code === 0, `the exit code is 0, not ${code}: ${program.output.slice(-2_000)}`)
  return program.stdout
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`this does not hold: ${what}`)
}

async function step<T>(what: string, act: () => Promise<T> | T): Promise<T> {
  const started = performance.now()
  try {
    const result = await act()
    say(`ok      ${what} (${((performance.now() - started) / 1_000).toFixed(1)} s)`)
    return result
  } catch (error) {
    say(`FAILED  ${what}`)
    throw error
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

process.exitCode = await main()
