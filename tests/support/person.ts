/** Somebody with a token, who calls ISM as a client does. */
import { EventStream } from './event-stream.ts'

export type Answer = {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers are judged by what a test expects of them
  body: any
}

export class Person {
  readonly id: string
  readonly name: string
  token: string
  /** Any node: `http://127.0.0.1:port`. */
  url: string
  /** How long a call may take before this client gives it up; without it for as long as it takes. */
  patienceMs: number | undefined
  readonly #streams: EventStream[] = []

  constructor(url: string, id: string, name: string, token: string) {
    this.url = url
    this.id = id
    this.name = name
    this.token = token
  }

  /** The same person, another of their devices or another node. */
  at(url: string): Person {
    return new Person(url, this.id, this.name, this.token)
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call('GET', path, undefined, headers)
  }

  post(path: string, body?: unknown): Promise<Answer> {
    return this.call('POST', path, body)
  }

  delete(path: string): Promise<Answer> {
    return this.call('DELETE', path)
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    if (body === undefined) return this.raw(method, path, undefined, headers)
    return this.raw(method, path, JSON.stringify(body), { 'content-type': 'application/json', ...headers })
  }

  /** A call whose body goes out as it is: malformed JSON, a form. */
  async raw(
    method: string,
    path: string,
    body?: string | FormData | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
      ...(body === undefined ? {} : { body }),
      ...(this.patienceMs === undefined ? {} : { signal: AbortSignal.timeout(this.patienceMs) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** Opens a stream and waits for its first frame. */
  stream(lastEventId?: string, query = ''): Promise<EventStream> {
    return this.#open(query, lastEventId, { authorization: `Bearer ${this.token}` }).opened()
  }

  /** Opens a stream as a browser's EventSource does, with no token in its headers; it may be refused. */
  async source(query: string, lastEventId?: string): Promise<EventStream> {
    const stream = this.#open(query, lastEventId, {})
    await stream.until(() => stream.lastEventId !== undefined || stream.ended, 'an answer')
    return stream
  }

  async ticket(): Promise<string> {
    const { status, body } = await this.post('/api/sse/ticket')
    if (status !== 200) throw new Error(`ticket answered ${status}: ${JSON.stringify(body)}`)
    return body.ticket
  }

  #open(query: string, lastEventId: string | undefined, headers: Record<string, string>): EventStream {
    const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const stream = new EventStream(`${this.url}/api/sse${query}`, { ...headers, ...resume })
    this.#streams.push(stream)
    return stream
  }

  closeStreams(): void {
    for (const stream of this.#streams) stream.close()
  }

  send(roomId: string, text: string, more: Record<string, unknown> = {}): Promise<Answer> {
    return this.post('/api/send-msg', { chatRoomId: roomId, msgType: 'Text', msgBody: { text }, ...more })
  }

  /** @returns the new room's id */
  async createRoom(others: Person[], name?: string): Promise<string> {
    const { status, body } = await this.post('/api/rooms/create-room', {
      roomType: name === undefined ? 'Single' : 'Group',
      roomName: name,
      invitedUsers: [this.id, ...others.map(({ id }) => id)],
    })
    if (status !== 200) throw new Error(`create-room answered ${status}: ${JSON.stringify(body)}`)
    return body.id
  }

  /** The whole timeline, newest first, page by page. */
  async timeline(roomId: string, before = '9999-01-01T00:00:00Z'): Promise<Answer['body'][]> {
    const messages: Answer['body'][] = []
    for (;;) {
      const { status, body } = await this.get(`/api/rooms/${roomId}/timeline?timestamp=${encodeURIComponent(before)}`)
      if (status !== 200) throw new Error(`timeline answered ${status}: ${JSON.stringify(body)}`)
      messages.push(...body)
      if (body.length < 25) return messages
      before = body.at(-1).createdAt
    }
  }
}
