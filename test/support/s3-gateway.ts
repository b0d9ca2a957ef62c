/** @file A gateway in front of S3, or instead of it, that fails on demand. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of one request: an answer, or the connection ends without one. */
export interface Answer {
  readonly status: number;
  readonly headers?: NodeJS.Dict<string | string[]>;
  readonly body?: Uint8Array | string;
}

export interface ReceivedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
}

/** `forward` asks the server behind. Undefined ends the connection: the client never learns what happened. */
export type Behaviour = (
  received: ReceivedRequest,
  forward: () => Promise<Answer>,
) => Promise<Answer | undefined> | Answer | undefined;

export interface Gateway {
  readonly endpoint: string;
  readonly received: readonly ReceivedRequest[];
  behaviour: Behaviour;
  stop(): Promise<void>;
}

/** An error of S3's form. */
export const s3Error = (status: number, code: string, message = `about ${code}`): Answer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});

/** @param behind endpoint that `forward` asks */
export async function startGateway(behaviour: Behaviour, behind = ''): Promise<Gateway> {
  const received: ReceivedRequest[] = [];
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const body = await bytesOfStream(incoming);
    const { method = '', url: path = '', headers } = incoming;
    const each = { method, path, headers, body };
    received.push(each);
    const made = await gateway.behaviour(each, () => ask(behind, each));
    if (made === undefined) incoming.socket.destroy();
    else outgoing.writeHead(made.status, made.headers).end(made.body);
  };
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gateway: Gateway = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    behaviour,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return gateway;
}

async function bytesOfStream(stream: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function ask(endpoint: string, { method, path, headers, body }: ReceivedRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${endpoint}${path}`, { method, headers }, async (reply) => {
      resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: await bytesOfStream(reply) });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
