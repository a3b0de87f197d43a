/** The names that objects may have in any store. */

const KEY = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/
const MAX_LENGTH = 200

/** One or more segments of `[A-Za-z0-9._-]`, none of them `.` or `..`, joined by `/`; at most 200 characters. */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_LENGTH && KEY.test(key) && !key.split('/').some((part) => part === '.' || part === '..')
}
