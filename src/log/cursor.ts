/** Where a client is in the log. Opaque on the wire: one day it may hold more than one number. */

export type Cursor = {
  /** Which log: another one's numbers mean nothing here. */
  epoch: string
  /** The client has had every event up to and including this. */
  seq: number
}

const FORM = /^([0-9a-f]{1,64})\.(0|[1-9]\d{0,15})$/

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(`${cursor.epoch}.${cursor.seq}`).toString('base64url')
}

/** `undefined` where `text` is no cursor of ours. */
export function decodeCursor(text: string): Cursor | undefined {
  if (text.length > 128) return undefined
  const match = FORM.exec(Buffer.from(text, 'base64url').toString('latin1'))
  const seq = Number(match?.[2])
  return match?.[1] && Number.isSafeInteger(seq) ? { epoch: match[1], seq } : undefined
}
