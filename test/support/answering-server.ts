import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One reply of a service that speaks JSON. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A server that gives prepared answers, one after the other, and keeps what it was asked. */
export interface AnsweringServer {
  readonly url: string;
  /** Bodies, in their order. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Starts a server on a free port of this machine. */
export async function answering(answers: readonly Answer[]): Promise<AnsweringServer> {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const answer = answers[requests.push(body) - 1] ?? { status: 500, body: {} };
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { url: `http://127.0.0.1:${port}`, requests, close };
}
