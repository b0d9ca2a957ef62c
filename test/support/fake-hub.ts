import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const commit = 'c0ffee'.padEnd(40, '0');

/** A request as the hub saw it. */
export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** One model on a hub of its own: the addresses that a download uses, over real HTTP on this host. */
export class FakeHub {
  readonly seen: SeenRequest[] = [];
  /** Weights break off after so many bytes, once. */
  breaksAfterBytes: number | undefined;
  /** Content to send in place of the listed one. */
  readonly sends = new Map<string, Uint8Array>();
  readonly #server: Server;
  readonly #name: string;
  readonly #files: ReadonlyMap<string, Uint8Array>;

  private constructor(name: string, files: ReadonlyMap<string, Uint8Array>) {
    this.#name = name;
    this.#files = files;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(name: string, files: ReadonlyMap<string, Uint8Array>): Promise<FakeHub> {
    const hub = new FakeHub(name, files);
    await new Promise<void>((resolve) => hub.#server.listen(0, '127.0.0.1', resolve));
    return hub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', this.url);
    const { range, authorization } = request.headers;
    this.seen.push({ path: pathname, range, authorization });
    const api = `/api/models/${this.#name}/`;
    const file = new RegExp(`^/${this.#name}/resolve/${commit}/(.+)$`).exec(pathname)?.[1];
    const content = file === undefined ? undefined : (this.sends.get(file) ?? this.#files.get(file));
    if (pathname === `${api}revision/main`) sendJson(response, 200, { _id: '1', id: this.#name, sha: commit });
    else if (pathname === `${api}tree/${commit}`) sendJson(response, 200, this.#listing());
    else if (content !== undefined) this.#sendContent(response, content, range);
    else sendJson(response, pathname.includes('secret') ? 401 : 404, { error: 'Repository not found' });
  }

  #listing(): unknown[] {
    return [...this.#files].map(([path, content]) => {
      const entry = { type: 'file', path, size: content.length, oid: gitOid(content) };
      const sha256 = createHash('sha256').update(content).digest('hex');
      if (!path.endsWith('.safetensors')) return entry;
      return { ...entry, oid: 'f'.repeat(40), lfs: { oid: sha256, size: content.length, pointerSize: 134 } };
    });
  }

  #sendContent(response: ServerResponse, content: Uint8Array, range: string | undefined): void {
    const [, first = '0', last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const end = last ? Math.min(Number(last) + 1, content.length) : content.length;
    const part = content.subarray(Number(first), end);
    response.writeHead(range === undefined ? 200 : 206, {
      etag: '"1"',
      'content-length': part.length,
      'content-range': `bytes ${first}-${end - 1}/${content.length}`,
    });
    if (this.breaksAfterBytes === undefined || part.length <= this.breaksAfterBytes) {
      response.end(part);
      return;
    }
    const sent = part.subarray(0, this.breaksAfterBytes);
    this.breaksAfterBytes = undefined;
    response.write(sent, () => setTimeout(() => response.destroy(), 100));
  }
}

const gitOid = (content: Uint8Array): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}
