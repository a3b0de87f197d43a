/** The development OIDC issuer: what ISM sees of a real one, which is a discovery document and a key set. */

import { createHash, generateKeyPair } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import { promisify } from 'node:util'
import { importJWK, type JWK, SignJWT } from 'jose'
import type { DataDirectory } from './data-directory.ts'
import { LOOPBACK } from './free-port.ts'
import type { Person } from './people.ts'
import { createOnce, readIfThere, replaceFile } from './private-file.ts'

/**
 * A name, not a place: it stays the same when the port is another one, so that tokens outlive a restart. ISM learns
 * where the issuer listens by `discovery_url`. Names below .localhost never leave the machine (RFC 6761).
 */
export const DEVELOPMENT_ISSUER = 'http://ism.localhost/development'
export const DEVELOPMENT_AUDIENCE = 'account'
const ALGORITHM = 'RS256'

export type Issuer = { discoveryUrl: string; close(): Promise<void> }

export async function startIssuer(directory: DataDirectory): Promise<Issuer> {
  const { kty, n, e, kid } = await signingKey(directory)
  const keySet = { keys: [{ kty, n, e, kid, alg: ALGORITHM, use: 'sig' }] }
  const server = createServer()
  const port = await listen(server, Number((await readIfThere(directory.issuerPort)) ?? 0))
  server.on('request', answer(`http://${LOOPBACK}:${port}`, keySet))
  await replaceFile(directory.issuerPort, `${port}\n`)
  return {
    discoveryUrl: `http://${LOOPBACK}:${port}/.well-known/openid-configuration`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export async function signToken(directory: DataDirectory, person: Person, expiresSeconds: number): Promise<string> {
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < 1)
    throw new Error('A token must be valid for at least a second.')
  const key = await signingKey(directory)
  const now = Math.floor(Date.now() / 1000)
  return await new SignJWT({ preferred_username: person.displayName, name: person.displayName })
    .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', ...(key.kid === undefined ? {} : { kid: key.kid }) })
    .setIssuer(DEVELOPMENT_ISSUER)
    .setSubject(person.id)
    .setAudience(DEVELOPMENT_AUDIENCE)
    .setIssuedAt(now)
    .setExpirationTime(now + expiresSeconds)
    .sign(await importJWK(key, ALGORITHM))
}

function answer(origin: string, keySet: object): RequestListener {
  const documents = new Map<string, object>([
    [
      '/.well-known/openid-configuration',
      {
        issuer: DEVELOPMENT_ISSUER,
        jwks_uri: `${origin}/jwks`,
        // Required by the standard; there is nobody to log in here: `ism token` prints tokens.
        authorization_endpoint: `${origin}/authorize`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [ALGORITHM],
      },
    ],
    ['/jwks', keySet],
  ])
  return (request, response) => {
    const document = documents.get(new URL(request.url ?? '/', origin).pathname)
    const status = document === undefined ? 404 : request.method === 'GET' || request.method === 'HEAD' ? 200 : 405
    request.resume()
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(
      JSON.stringify(status === 200 ? document : { error: status === 404 ? 'not_found' : 'method_not_allowed' }),
    )
  }
}

/** The port of the last run where it is free, so that what somebody noted down stays true. */
async function listen(server: Server, preferred: number): Promise<number> {
  for (const port of preferred > 0 && preferred < 65_536 ? [preferred, 0] : [0]) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, LOOPBACK, () => {
          server.off('error', reject)
          resolve()
        })
      })
      break
    } catch (error) {
      if (port === 0) throw error
    }
  }
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** Made once and kept; its `kid` is its thumbprint. */
async function signingKey(directory: DataDirectory): Promise<JWK> {
  const text = await createOnce(directory.issuerKey, async () => {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
    const jwk = privateKey.export({ format: 'jwk' })
    // RFC 7638, section 3.2: the required members in alphabetical order.
    const members = JSON.stringify({ e: jwk.e, kty: jwk.kty, n: jwk.n })
    return `${JSON.stringify({ ...jwk, kid: createHash('sha256').update(members).digest('base64url') })}\n`
  })
  try {
    return JSON.parse(text) as JWK
  } catch {
    throw new Error(`${directory.issuerKey} is damaged: remove it to have a new key; earlier tokens end with it.`)
  }
}
