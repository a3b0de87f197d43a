/** How a stored picture is named to clients. */

export type ObjectUrls = {
  /** The key of a stored name: ISM 0.7.9 stored `<bucket>/<key>`. */
  keyOf(stored: string): string
  /** `imageUrl`: below `publicUrl`, where a browser can load it; else `<bucket>/<key>`. */
  url(key: string): string
  /** `imageName`: `<bucket>/<key>.jpeg`. */
  name(key: string): string
}

/** `publicUrl` comes without a final slash; keys need no escaping in a URL. */
export function createObjectUrls(config: { bucket: string; publicUrl: string | undefined }): ObjectUrls {
  const base = config.publicUrl ?? config.bucket
  const bucketPrefix = `${config.bucket}/`
  return {
    keyOf: (stored) => (stored.startsWith(bucketPrefix) ? stored.slice(bucketPrefix.length) : stored),
    url: (key) => `${base}/${key}`,
    name: (key) => `${config.bucket}/${key}.jpeg`,
  }
}
