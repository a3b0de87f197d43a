/** A message as benches send it, over HTTP. */
import { requestText } from './http-client.ts'
import { NUMBER } from './load/load.ts'

/** Begins with the request's number: each is another one, and readers know which it was. */
export const NUMBERED_TEXT = `${NUMBER} The quick brown fox jumps over the lazy dog.`

export function sendRequest(roomId: string, token: string): string {
  const body = `{"chatRoomId":"${roomId}","msgType":"Text","msgBody":{"text":"${NUMBERED_TEXT}"}}`
  return requestText('POST', '/api/send-msg', token, body)
}
