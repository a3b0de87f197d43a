/** A server that answers as an S3 server would, for what the real one of the tests cannot be brought to say. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export type StubAnswer = (req: IncomingMessage, res: ServerResponse, body: string) => void

/** @returns its URL; it ends with the test */
export async function startS3Stub(answer: StubAnswer): Promise<string> {
  const server = createServer(async (req, res) => answer(req, res, await text(req).catch(() => '')))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** @param more elements beside the code */
export function refuse(res: ServerResponse, status: number, code: string, more = '', headers = {}): void {
  res.writeHead(status, { 'content-type': 'application/xml', ...headers })
  res.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>No, ${code}.</Message>${more}</Error>`)
}
