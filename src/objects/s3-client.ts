/** How ISM speaks to an S3 server. */
import { S3Client } from '@aws-sdk/client-s3'
import type { S3Config } from '../config/config.ts'

/** Once more after no answer or a 5xx: above all where the server has closed an idle connection as it was used again. */
const ATTEMPTS = 2
/** To connect, or to get one of the connections. */
const CONNECT_MS = 2_000
/** An attempt's, to the head of the answer, the upload included. */
const ANSWER_MS = 5_000
/** A call with all its attempts: somebody waits for it, and so may a stop of ISM. */
export const CALL_MS = 5_000
/** Silence within the body of an answer; also a reader who does not read, since nothing is read ahead for them. */
const IDLE_MS = 10_000
const MAX_CONNECTIONS = 64

/** Nothing but `config` decides: neither AWS_… variables nor ~/.aws. */
export function createS3Client(config: S3Config): S3Client {
  // The SDK's releases to come want another Node; the one that is used here does not.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
  const agent = { keepAlive: true, maxSockets: MAX_CONNECTIONS }
  return new S3Client({
    endpoint: config.endpoint,
    region: config.region,
    forcePathStyle: config.pathStyle,
    credentials: { accessKeyId: config.accessKey, secretAccessKey: config.secretKey },
    // Checksums in a trailer are stored as part of the object by servers that do not know them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    retryMode: 'standard',
    maxAttempts: ATTEMPTS,
    // What is not given is looked for in the home of a user, who may have none.
    defaultsMode: 'standard',
    userAgentAppId: 'ism',
    authSchemePreference: [],
    sigv4aSigningRegionSet: [],
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    disableClockSkewCorrection: false,
    disableMultiregionAccessPoints: true,
    disableS3ExpressSessionAuth: true,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      socketTimeout: IDLE_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
  })
}

export const within = (milliseconds: number) => ({ abortSignal: AbortSignal.timeout(milliseconds) })
