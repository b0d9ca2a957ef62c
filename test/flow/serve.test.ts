import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { rollback } from '../../src/registry/index.js';
import { CommandLine } from '../support/command-line.js';
import { until } from '../support/patience.js';
import { copyOf, type ServedStore, servedStore } from '../support/served-store.js';

let commandLine: CommandLine;
let folder: string;
let served: ServedStore;
let store: DirectoryObjectStore;
beforeAll(async () => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-serve-'));
  served = await servedStore({ versions: 2 });
  store = await copyOf(served.store, new DirectoryObjectStore(join(folder, 'store')));
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A process that serves. */
class ServingProcess {
  output = '';
  errors = '';
  readonly #child;
  /** Its exit code. */
  readonly ended: Promise<number | null>;

  constructor(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const own = [
      '--store',
      join(folder, 'store'),
      '--model',
      served.modelDirectory,
      '--port',
      '0',
      '--interval',
      '0.1',
    ];
    this.#child = commandLine.start(['serve', ...own, ...words], environment);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  until<T>(find: () => T) {
    return until(find, () => `${this.output} ${this.errors}`);
  }

  url(): Promise<string> {
    return this.until(() => /http:\/\/[^\s"]+/.exec(this.output)?.[0]);
  }

  stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.ended;
  }
}

const completion = (url: string, body: object, init: RequestInit = {}) =>
  fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: served.modelId, temperature: 0, ...body }),
    ...init,
  });

const ready = (url: string) => until(async () => (await fetch(`${url}/readyz`)).ok);

describe('hookline serve', () => {
  it('answers, follows the version, and with SIGTERM ends what it has begun', async () => {
    const serving = new ServingProcess(['--verbose']);
    const url = await serving.url();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await ready(url);
    const [, prompt] = served.prompts;
    const edited = (await (await completion(url, { prompt, max_tokens: 4 })).json()) as { choices: { text: string }[] };
    expect(edited.choices[0].text).toContain(served.targets[1]);
    await rollback(store, served.modelId, 1, 'a test');
    await serving.until(() => serving.errors.includes('version 2 -> version 1'));
    const before = await completion(url, { prompt, max_tokens: 4 });
    expect(before.headers.get('x-hookline-version')).toBe('1');
    expect(await before.text()).not.toContain(served.targets[1]);

    const long = { prompt: 'The', max_tokens: 200, temperature: 2, seed: 5, n: 4, stream: true };
    const stream = await completion(url, long);
    const ended = serving.stop();
    const text = await stream.text();
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await ended).toBe(0);
    expect(serving.errors).toContain('stopping');
    expect(serving.errors).toMatch(/POST \/v1\/completions 200 in \d+ ms, aldermark@1, \d+ tokens/);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    await rollback(store, served.modelId, 2, 'a test');
  });

  it('gives up what nobody waits for, prints events as lines of JSON, and asks for a key', async () => {
    const serving = new ServingProcess(['--json', '--api-key-env', 'KEY', '--cache', join(folder, 'cache')], {
      KEY: 'k',
    });
    const url = await serving.url();
    await ready(url);
    expect((await completion(url, { prompt: 'a' })).status).toBe(401);
    const headers = { authorization: 'Bearer k', 'content-type': 'application/json' };
    const leaving = new AbortController();
    const long = { prompt: 'The', max_tokens: 512, temperature: 2, seed: 5, n: 8 };
    const left = completion(url, long, { headers, signal: leaving.signal });
    const metrics = async () => (await fetch(`${url}/metrics`, { headers })).text();
    await until(async () => (await metrics()).includes('hookline_active_choices 8'));
    leaving.abort();
    await expect(left).rejects.toThrow();
    await until(async () => (await metrics()).includes('hookline_active_choices 0'));
    expect(await serving.stop()).toBe(0);
    const events = serving.output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining(['listening', 'switched', 'request']));
    expect(events.find(({ status }) => status === 499)).toMatchObject({ path: '/v1/completions' });
    expect(serving.errors).toBe('');
  });

  it('warns where it is open to the network, and says in one line what it cannot do', async () => {
    const open = new ServingProcess(['--host', '0.0.0.0']);
    const url = await open.url();
    expect(open.errors).toContain('warning: 0.0.0.0 is open to the network and nobody is asked for a key');
    const taken = new ServingProcess(['--port', new URL(url).port]);
    expect([await taken.ended, taken.errors]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    expect(await open.stop()).toBe(0);
    const keyless = new ServingProcess(['--api-key-env', 'NOTHING']);
    expect([await keyless.ended, keyless.errors]).toEqual([
      64,
      expect.stringMatching(/^error: --api-key-env: [^\n]+\n$/),
    ]);
  });

  it('answers health checks within moments while it gets the longest bodies it takes', async () => {
    const serving = new ServingProcess(['--model', modelWithLongTokens(join(folder, 'long-tokens'))]);
    const url = await serving.url();
    await ready(url);
    const size = 255_000;
    const repeated = (text: string) => text.repeat(size / text.length);
    const bodies: Readonly<Record<string, [status: number, body: object]>> = {
      'a text over the bound': [400, { prompt: [repeated('a'), repeated('b')].join('').slice(0, 260_000) }],
      'a text that is split': [400, { prompt: repeated('ab ') }],
      'a prompt that fits': [200, { prompt: 'Letters go to. '.repeat(90), hookline: { explain: true } }],
      'token ids': [400, { prompt: new Array(size / 2).fill(1) }],
      'many prompts': [400, { prompt: new Array(size / 5).fill([1]) }],
      'a list of both': [400, { prompt: [...new Array(size / 5).fill('a'), 1] }],
      'unknown parameters': [400, Object.fromEntries(Array.from({ length: size / 15 }, (_, i) => [`k${i}`, 1]))],
      'biased tokens': [400, { prompt: 'a', logit_bias: Object.fromEntries(new Array(size / 12).fill(1).entries()) }],
      'a stop text': [400, { prompt: 'a', stop: repeated(' ') }],
    };
    const slowest: Record<string, number> = {};
    for (const [what, [status, body]] of Object.entries(bodies)) {
      // Made once, before: what this process computes is no delay of the service.
      const text = JSON.stringify({ model: 'base', temperature: 0, max_tokens: 1, ...body });
      let isDone = false;
      const checks = (async () => {
        let longest = 0;
        while (!isDone) {
          const startedAt = performance.now();
          expect((await fetch(`${url}/healthz`)).ok).toBe(true);
          longest = Math.max(longest, performance.now() - startedAt);
        }
        return longest;
      })();
      const asked = Array.from({ length: 12 }, () => completion(url, {}, { body: text }));
      const statuses = (await Promise.all(asked)).map((answer) => answer.status);
      isDone = true;
      slowest[what] = Math.round(await checks);
      expect(statuses, what).toEqual(new Array(12).fill(status));
    }
    console.info('slowest health check beside twelve of the longest bodies, in milliseconds:', slowest);
    // A tenth of it on two cores that have nothing else to do.
    expect(Math.max(...Object.values(slowest))).toBeLessThan(1500);
    expect(await serving.stop()).toBe(0);
  });
});

/** The served model with a token of many characters, so that no long text is refused before it is split. */
function modelWithLongTokens(directory: string): string {
  cpSync(served.modelDirectory, directory, { recursive: true });
  const path = join(directory, 'tokenizer.json');
  const definition = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly added_tokens: object[];
    readonly model: { readonly vocab: Record<string, number>; readonly merges: unknown[] };
  };
  const { added_tokens: added, model } = definition;
  // It takes the place of the token that was learnt last.
  const [last, id] = Object.entries(model.vocab).reduce((a, b) => (a[1] > b[1] ? a : b));
  delete model.vocab[last];
  model.merges.pop();
  added.push({ ...added[0], id, content: '<long>'.repeat(82) });
  writeFileSync(path, JSON.stringify(definition));
  return directory;
}
