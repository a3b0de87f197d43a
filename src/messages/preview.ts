/** The one-line preview of a room's latest message, as its list shows it. */

export type Preview =
  | { type: 'Text'; sender_username: string; text: string }
  | { type: 'Media'; sender_username: string; media_type: string }
  | { type: 'Reply'; sender_username: string; reply_text: string }
  | { type: 'RoomChange'; sender_username: string; room_change_type: 'JOIN' | 'LEAVE' | 'INVITE' }
  | { type: 'New' }

const MAX_CHARACTERS = 50
const CUT_CHARACTERS = 40

export const NEW_ROOM_PREVIEW: Preview = { type: 'New' }

/** Texts longer than 50 characters show their first 40; characters are code points, so no pair is cut. */
export function shorten(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text
  let [characters, cut] = [0, 0]
  // Of a long text only its beginning is looked at.
  for (let at = 0; at < text.length; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) {
    if (characters === CUT_CHARACTERS) cut = at
    if (characters++ === MAX_CHARACTERS) return `${text.slice(0, cut)}...`
  }
  return text
}

/** A stored preview as JSON; a room without one, or with one that cannot be read, looks new. */
export function previewJson(stored: string | null): string {
  if (!stored) return NEW_ROOM_JSON
  try {
    JSON.parse(stored)
    return stored
  } catch {
    return NEW_ROOM_JSON
  }
}

const NEW_ROOM_JSON = JSON.stringify(NEW_ROOM_PREVIEW)
