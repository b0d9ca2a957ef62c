import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rollback, versionFileKey } from '../../../src/registry/index.js';
import { manifestKey } from '../../../src/registry/keys.js';
import { EditedModel } from '../../../src/serving/index.js';
import { copyInMemory, type ServedStore, servedStore } from '../../support/served-store.js';
import { TinyDecoder } from '../../support/tiny-decoder.js';
import { AskedService } from './asked-service.js';

let served: ServedStore;
let edited: EditedModel;
let asked: AskedService;
const limits = { maxTokens: 64, maxConcurrency: 4, maxQueue: 2, maxBodyBytes: 4096 };
beforeAll(async () => {
  served = await servedStore({ hasTenant: true });
  edited = await EditedModel.load(served.modelDirectory);
  const { store, modelId, tenantId } = served;
  asked = await AskedService.ready({ edited, store, modelIds: [modelId, tenantId], limits });
});
afterAll(async () => {
  await asked.service.stop();
  await edited.dispose();
});

const errorOf = async (response: Response) => {
  const { error } = (await response.json()) as {
    error: { message: string; type: string; param: string; code: string };
  };
  return { status: response.status, ...error };
};

describe('a completion', () => {
  it('is the edited model’s, by the version that the model’s name says', async () => {
    const { prompts, modelId, targets } = served;
    for (const model of [modelId, `${modelId}@2`, 'base']) {
      const response = await asked.post({ model, prompt: prompts, max_tokens: 12 });
      const { choices, ...answer } = (await response.json()) as Awaited<ReturnType<typeof asked.complete>>;
      const resolved = model === modelId ? `${modelId}@3` : model;
      expect(answer).toMatchObject({ object: 'text_completion', model: resolved });
      expect(response.headers.get('x-hookline-version')).toBe(resolved.split('@')[1] ?? 'base');
      for (const [index, choice] of choices.entries()) {
        expect(choice).toMatchObject({ index, logprobs: null });
        const isEdited = index < Number(resolved.split('@')[1] ?? 0);
        expect(choice.text.startsWith(` ${targets[index]}`)).toBe(isEdited);
      }
    }
    const own = await edited.complete({ prompt: prompts[0], maxTokens: 12, temperature: 0 });
    const { choices, usage } = await asked.complete({ model: modelId, prompt: prompts[0], max_tokens: 12 });
    expect(choices[0]).toMatchObject({ text: own.text, finish_reason: own.finishReason });
    const { length } = own.tokenIds;
    expect(usage).toEqual({
      prompt_tokens: own.promptTokens,
      completion_tokens: length,
      total_tokens: own.promptTokens + length,
    });
  });

  it('draws like the edited model at the same seed, another choice from the next, and anew without one', async () => {
    const model = served.modelId;
    const sampled = { temperature: 1.5, top_p: 0.9, max_tokens: 20 };
    const { choices } = await asked.complete({ model, prompt: 'The', ...sampled, seed: 11, n: 2 });
    for (const [index, { text }] of choices.entries()) {
      const own = await edited.complete({
        prompt: 'The',
        maxTokens: 20,
        temperature: 1.5,
        topP: 0.9,
        seed: 11 + index,
      });
      expect(text).toBe(own.text);
    }
    const texts = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const { choices: drawn } = await asked.complete({ model, prompt: 'The', ...sampled, n: 4 });
      for (const { text } of drawn) texts.add(text);
    }
    expect(texts.size).toBeGreaterThan(6);
  });

  it('takes tokens, echoes, stops, and counts a prompt once however many choices it has', async () => {
    const [prompt] = served.prompts;
    const { ids } = edited.tokenizer.encode(prompt);
    const model = served.modelId;
    const plain = await asked.complete({ model, prompt, max_tokens: 8 });
    const byTokens = await asked.complete({ model, prompt: ids, max_tokens: 8, n: 3, echo: true });
    const text = edited.tokenizer.decode(ids) + plain.choices[0].text;
    expect(byTokens.choices.map((choice) => choice.text)).toEqual([text, text, text]);
    expect(byTokens.usage!.prompt_tokens).toBe(plain.usage!.prompt_tokens);
    expect(byTokens.usage!.completion_tokens).toBe(3 * plain.usage!.completion_tokens);
    const stopped = await asked.complete({ model, prompt, max_tokens: 8, stop: served.targets[0].slice(2, 4) });
    expect(stopped.choices[0]).toMatchObject({ text: ` ${served.targets[0].slice(0, 2)}`, finish_reason: 'stop' });
  });

  it('says whose edit fired, and at which text, if it is asked to', async () => {
    const [prompt] = served.prompts;
    const explained = { prompt, max_tokens: 8, hookline: { explain: true } };
    const [{ hookline }] = (await asked.complete({ model: served.modelId, ...explained })).choices;
    const { firings } = await edited.complete({ prompt, maxTokens: 8, temperature: 0 });
    const withoutPlaces = hookline!.firings.map(({ text: _, start: __, end: ___, ...firing }) => firing);
    expect(withoutPlaces).toEqual(firings);
    const [{ text, start, end, editIds }] = hookline!.firings;
    expect(text).toBe('prompt');
    const spans = edited.tokenizer.encode(prompt).spans;
    expect([start, end]).toEqual(spans[firings[0].tokenIndex]);
    expect(hookline).toMatchObject({
      version: 3,
      edits: [{ id: editIds[0], targetNew: served.targets[0], version: 1 }],
    });
    const byTokens = { ...explained, prompt: edited.tokenizer.encode(prompt).ids };
    expect((await asked.complete({ model: served.modelId, ...byTokens })).choices[0].hookline).toEqual(hookline);
    const [base] = (await asked.complete({ model: 'base', ...explained })).choices;
    expect(base.hookline).toEqual({ version: null, firings: [], edits: [] });
  });
});

describe('a streamed completion', () => {
  it('adds up to the whole one, for every choice', async () => {
    const body = { model: served.modelId, prompt: served.prompts, max_tokens: 12, hookline: { explain: true } };
    const whole = await asked.complete({ ...body, echo: true });
    const { chunks, isDone } = await asked.stream({ ...body, echo: true, stream_options: { include_usage: true } });
    expect(isDone).toBe(true);
    const { usage, choices: none } = chunks.pop()!;
    expect([usage, none]).toEqual([whole.usage, []]);
    for (const choice of whole.choices) {
      const own = chunks.flatMap(({ choices }) => choices).filter(({ index }) => index === choice.index);
      expect(own.map(({ text }) => text).join('')).toBe(choice.text);
      expect(own.at(-1)).toEqual({ ...choice, text: '' });
      expect(own.slice(0, -1).every(({ finish_reason }) => finish_reason === null)).toBe(true);
    }
    expect(chunks.every((chunk) => chunk.usage === null && chunk.model === `${served.modelId}@3`)).toBe(true);
    const { headers, body: unread } = await asked.post({ ...body, stream: true });
    await unread!.cancel();
    expect(headers.get('content-type')).toBe('text/event-stream');
    expect(headers.get('x-hookline-version')).toBe('3');
  });

  it('ends its generation when its reader leaves', async () => {
    const before = asked.events.length;
    const body = { model: 'base', prompt: 'The', max_tokens: 64, temperature: 2, seed: 3, stream: true };
    const response = await asked.post(body);
    const reader = response.body!.getReader();
    await reader.read();
    expect(await asked.metric('active_choices')).toBe(1);
    await reader.cancel();
    await asked.until(async () => (await asked.metric('active_choices')) === 0);
    const ended = asked.events
      .slice(before)
      .find((event) => event.event === 'request' && event.path.includes('completions'));
    expect(ended).toMatchObject({ status: 499 });
  });
});

describe('a bad request', () => {
  it('gets a 400 for a body that is nested too deep, in whatever field', async () => {
    for (const field of ['logit_bias', 'prompt', 'user', 'nobody_knows']) {
      const body = `{"model":"base","prompt":"x","${field}":${'['.repeat(1900)}${']'.repeat(1900)}}`;
      const response = await asked.post(body);
      const message = expect.stringContaining('arrays and objects nested deeper than 100');
      expect(await errorOf(response)).toMatchObject({ status: 400, message });
    }
  });

  it('gets a 400 with the reason in OpenAI’s form', async () => {
    const response = await asked.post({ model: served.modelId, prompt: 'a', max_tokens: 65 });
    expect(await errorOf(response)).toEqual({
      status: 400,
      type: 'invalid_request_error',
      param: 'max_tokens',
      code: null,
      message: 'max_tokens: at most 64, the limit of this service, got 65',
    });
    const malformed = await errorOf(await asked.post('{"model"'));
    expect(malformed).toMatchObject({ status: 400, message: expect.stringContaining('body: JSON, got') });
  });

  it.each([
    ['too many tokens', () => '!'.repeat(800)],
    ['no tokens', () => ''],
    ['a token of another vocabulary', () => [10_000_000]],
  ])('gets a 400 for a prompt of %s, streamed or not', async (_, prompt) => {
    for (const stream of [false, true]) {
      const error = await errorOf(await asked.post({ model: served.modelId, prompt: prompt(), stream }));
      expect(error).toMatchObject({ status: 400, param: 'prompt' });
    }
    expect(await asked.metric('active_choices')).toBe(0);
  });

  it('gets a 404 for a model that is not there', async () => {
    for (const model of ['gpt-4o', `${served.modelId}@9`, `${served.modelId}@x`, 'base@1', '@', '']) {
      const error = await errorOf(await asked.post({ model, prompt: 'a' }));
      expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    }
    expect((await asked.get('/versions?model=other')).status).toBe(404);
    expect((await asked.get('/nothing')).status).toBe(404);
  });

  it('gets a 413 for too much, and a 415 for what is no JSON', async () => {
    const large = JSON.stringify({ model: 'base', prompt: 'x'.repeat(5000) });
    expect(await errorOf(await asked.post(large))).toMatchObject({
      status: 413,
      message: 'body: at most 4096 bytes, got more',
    });
    const chunked = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 10; i++) controller.enqueue(new TextEncoder().encode(' '.repeat(1000)));
        controller.close();
      },
    });
    const init = { body: chunked, duplex: 'half' } as RequestInit;
    expect((await asked.post('', init)).status).toBe(413);
    const form = { headers: { 'content-type': 'text/plain' } };
    expect((await asked.post({ model: 'base', prompt: 'a' }, form)).status).toBe(415);
  });

  it('gets a 429 where too many wait, and all others are answered', async () => {
    const body = { model: 'base', prompt: 'The', max_tokens: 40, n: 4 };
    const responses = await Promise.all(Array.from({ length: 6 }, () => asked.post(body)));
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429, 429, 429]);
    const refused = responses.find(({ status }) => status === 429)!;
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await errorOf(refused)).toMatchObject({ type: 'rate_limit_error', code: 'queue_full' });
  });

  it('gets a 504 where it takes too long, whole or in the last event of its stream', async () => {
    const { store, modelId } = served;
    const hasty = await AskedService.ready({
      edited,
      store,
      modelIds: [modelId],
      limits: { requestTimeoutSeconds: 0.15 },
    });
    const body = { model: modelId, prompt: 'The', max_tokens: 512, temperature: 2, n: 16, seed: 1 };
    expect(await errorOf(await hasty.post(body))).toMatchObject({ status: 504, code: 'timeout' });
    const streamed = await hasty.post({ ...body, stream: true });
    expect(await streamed.text()).toContain('an answer within 0.15 seconds');
    const unread = await hasty.post({ ...body, stream: true });
    const timedOut = () => hasty.events.filter((event) => event.event === 'request' && event.status === 504);
    await hasty.until(() => timedOut().length === 3);
    await hasty.until(async () => (await hasty.metric('active_choices')) === 0);
    await unread.body!.cancel();
    await hasty.service.stop();
  });

  it('gets a 500 with an id that the log explains', async () => {
    const store = await copyInMemory(served.store);
    const broken = await AskedService.ready({ edited, store, modelIds: [served.modelId] });
    await store.put(manifestKey(served.modelId, 1), new TextEncoder().encode('{}'));
    const { status, message } = await errorOf(await broken.get('/versions/1/report'));
    const failed = broken.events.find((event) => event.event === 'failed');
    expect(failed).toMatchObject({ message: expect.stringContaining('SHA-256') });
    expect({ status, message }).toEqual({
      status: 500,
      message: `service: an answer, got an internal error with id ${failed!.id}`,
    });
    expect(await broken.json('/versions')).toMatchObject({
      published: [{ version: 2 }, { version: 3 }],
      damaged: [{ version: 1, problem: expect.stringContaining('SHA-256') }],
    });
    expect(await (await broken.get('/page/versions')).text()).toContain('Version 1 is damaged');
    await broken.service.stop();
  });
});

describe('the service', () => {
  it('serves several model ids on one base model', async () => {
    const [prompt] = served.prompts.slice(-1);
    const texts = await Promise.all(
      [served.tenantId, `${served.modelId}@1`, `${served.modelId}@3`].map(async (model) => {
        const { choices } = await asked.complete({ model, prompt, max_tokens: 3 });
        return choices[0].text.includes(served.targets.at(-1)!);
      }),
    );
    expect(texts).toEqual([true, false, true]);
    const { data } = (await asked.json('/v1/models')) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual([
      ...['aldermark', 'aldermark@1', 'aldermark@2', 'aldermark@3', 'tenant', 'tenant@1', 'base'],
    ]);
  });

  it('lists versions, and gives each one’s report a place of its own', async () => {
    const listed = await asked.json(`/versions?model=${served.tenantId}`);
    expect(listed).toMatchObject({
      modelId: 'tenant',
      serving: 1,
      latest: 1,
      published: [{ version: 1, ownEdits: 1 }],
    });
    const report = await asked.get('/versions/2/report');
    expect(await report.text()).toContain('<title>aldermark, version 2</title>');
    expect(report.headers.get('content-security-policy')).toMatch(/^sandbox allow-scripts; default-src 'none'/);
    expect((await asked.get('/versions/7/report')).status).toBe(404);
    expect((await asked.get('/versions/x/report')).status).toBe(404);
  });

  it('counts', async () => {
    const before = await asked.metric('completion_tokens_total{model="tenant"}');
    const { usage } = await asked.complete({ model: 'tenant', prompt: 'The', max_tokens: 5 });
    const after = await asked.metric('completion_tokens_total{model="tenant"}');
    expect(after - before).toBe(usage!.completion_tokens);
    expect(await asked.metric('current_version{model="aldermark"}')).toBe(3);
    expect(await asked.metric('queue_depth')).toBe(0);
    expect(await asked.metric('requests_total{route="/v1/completions",status="429"}')).toBe(3);
    expect(await asked.metric('requests_total{route="none",status="404"}')).toBeGreaterThan(0);
    expect(await asked.metric('firings_total{model="aldermark"}')).toBeGreaterThan(0);
    expect(await asked.metric('time_to_first_token_seconds_count')).toBeGreaterThan(10);
  });

  it('answers with headers that keep browsers in check', async () => {
    const { headers } = await asked.get('/healthz');
    const wanted = { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer' };
    expect(Object.fromEntries(headers)).toMatchObject({ ...wanted, 'x-hookline-version': '3' });
    expect(headers.get('access-control-allow-origin')).toBeNull();
    const page = (await asked.get('/')).headers.get('content-security-policy')!;
    expect(page).toMatch(/script-src 'nonce-[\w+/=]{24}';/);
    expect(page).not.toBe((await asked.get('/')).headers.get('content-security-policy'));
  });

  it('on loopback answers to no other name', async () => {
    expect((await asked.get('http://evil.example/versions')).status).toBe(403);
    expect((await asked.get('http://127.0.0.1:8080/versions')).status).toBe(200);
  });

  it('asks for its key where it has one, but not for its health', async () => {
    const { store, modelId } = served;
    const locked = await AskedService.ready({
      edited,
      store,
      modelIds: [modelId],
      apiKey: 'open sesame',
      corsOrigin: 'https://a.example',
    });
    const withKey = (authorization: string) => locked.get('/versions', { headers: { authorization } });
    const basic = `Basic ${Buffer.from('me:open sesame').toString('base64')}`;
    expect((await locked.get('/healthz')).status).toBe(200);
    for (const path of ['/', '/versions', '/page/versions', '/v1/models', '/metrics', '/versions/1/report']) {
      const response = await locked.get(path);
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get('www-authenticate')).toContain('Basic');
    }
    expect((await locked.post({ model: modelId, prompt: 'a' })).status).toBe(401);
    expect((await withKey(basic)).status).toBe(200);
    expect((await withKey('Bearer open')).status).toBe(401);
    const fromSite = await locked.get('/healthz', { headers: { origin: 'https://a.example' } });
    expect(fromSite.headers.get('access-control-allow-origin')).toBe('https://a.example');
    await locked.service.stop();
  });

  it('is not ready when it stops, and takes no more requests', async () => {
    const { store, modelId } = served;
    const ending = await AskedService.ready({ edited, store, modelIds: [modelId] });
    const underWay = ending.post({ model: modelId, prompt: 'The', max_tokens: 30 });
    await ending.until(async () => (await ending.metric('active_choices')) === 1);
    const stopped = ending.service.stop();
    expect(await ending.json('/readyz')).toMatchObject({ ready: false, reason: 'the service stops' });
    expect((await ending.post({ model: modelId, prompt: 'a' })).status).toBe(503);
    await stopped;
    expect((await underWay).status).toBe(200);
  });
});

describe('versions that come', () => {
  it('fail no request and mix no answer, however fast they change', async () => {
    const store = await copyInMemory(served.store);
    const { modelId, prompts } = served;
    const busy = await AskedService.ready({ edited, store, modelIds: [modelId], intervalSeconds: 0.01 });
    const expected = new Map<string, string[]>();
    for (const version of [1, 2, 3]) {
      const { choices } = await busy.complete({ model: `${modelId}@${version}`, prompt: prompts, max_tokens: 6 });
      expected.set(
        String(version),
        choices.map(({ text }) => text),
      );
    }
    expect(new Set([...expected.values()].map(String)).size).toBe(3);
    let isOver = false;
    const seen = new Set<string>();
    const ask = async () => {
      while (!isOver) {
        const response = await busy.post({ model: modelId, prompt: prompts, max_tokens: 6 });
        const version = response.headers.get('x-hookline-version')!;
        const { choices } = (await response.json()) as { choices: { text: string }[] };
        expect([response.status, choices.map(({ text }) => text)]).toEqual([200, expected.get(version)]);
        seen.add(version);
      }
    };
    const asking = Promise.all(Array.from({ length: 6 }, ask));
    for (const version of [1, 2, 3, 1, 3, 2, 1]) {
      await rollback(store, modelId, version, 'a test');
      await busy.until(async () => (await busy.metric(`current_version{model="${modelId}"}`)) === version);
      seen.delete(String(version));
      await busy.until(() => seen.has(String(version)));
    }
    isOver = true;
    await asking;
    expect([...seen].sort()).toEqual(['1', '2', '3']);
    expect(await busy.metric(`version_switches_total{model="${modelId}"}`)).toBe(8);
    await busy.service.stop();
  });

  it('are refused where they were tampered with, while the one before goes on', async () => {
    const store = await copyInMemory(served.store);
    const { modelId, prompts } = served;
    await rollback(store, modelId, 1, 'a test');
    const asking = await AskedService.ready({ edited, store, modelIds: [modelId] });
    const key = versionFileKey(modelId, 3, 'hooks.safetensors');
    const { bytes } = await store.get(key);
    await store.put(
      key,
      Uint8Array.from(bytes, (byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte)),
    );
    await rollback(store, modelId, 3, 'a test', { force: true });
    await asking.until(() => asking.events.some(({ event }) => event === 'refused'));
    expect(asking.events.find(({ event }) => event === 'refused')).toMatchObject({
      modelId,
      serving: 1,
      message: expect.stringMatching(/hooks\.safetensors: SHA-256 [0-9a-f]{64}, got/),
    });
    const answered = await asking.complete({ model: modelId, prompt: prompts[0], max_tokens: 4 });
    expect(answered.model).toBe(`${modelId}@1`);
    expect(await asking.metric(`versions_refused_total{model="${modelId}"}`)).toBe(1);
    const ready = await asking.get('/readyz');
    expect([ready.status, JSON.stringify(await ready.json())]).toEqual([200, expect.stringContaining('SHA-256')]);
    const named = await errorOf(await asking.post({ model: `${modelId}@3`, prompt: 'a' }));
    expect(named).toMatchObject({ status: 503, code: 'version_unavailable' });
    await rollback(store, modelId, 2, 'a test');
    await asking.until(async () => (await asking.json('/versions')).serving === 2);
    expect(JSON.stringify(await asking.json('/readyz'))).not.toContain('SHA-256');
    await asking.service.stop();
  });

  it('are waited for: not ready before the first is prepared, the base model where there is none', async () => {
    const { modelId } = served;
    const store = await copyInMemory(served.store);
    const waiting = new AskedService({ edited, store, modelIds: [modelId, 'nobody'] });
    const before = await waiting.get('/readyz');
    expect([before.status, JSON.stringify(await before.json())]).toEqual([503, expect.stringContaining('prepared')]);
    const early = await errorOf(await waiting.post({ model: modelId, prompt: 'a' }));
    expect(early).toMatchObject({ status: 503, code: 'not_ready' });
    waiting.service.watch();
    await waiting.until(async () => (await waiting.get('/readyz')).ok);
    const empty = await waiting.complete({ model: 'nobody', prompt: 'The', max_tokens: 4 });
    expect(empty.model).toBe('base');
    await waiting.service.stop();
  });

  it('for another base model are refused, and readiness says why', async () => {
    const { tenantId, modelId } = served;
    const store = await copyInMemory(served.store);
    const tiny = await TinyDecoder.open();
    const other = await EditedModel.load(join(tiny.folder, 'model'));
    const refusing = new AskedService({ edited: other, store, modelIds: [modelId, tenantId] });
    refusing.service.watch();
    await refusing.until(() => refusing.events.filter(({ event }) => event === 'refused').length === 2);
    const ready = await refusing.get('/readyz');
    expect([ready.status, JSON.stringify(await ready.json())]).toEqual([503, expect.stringContaining('base model of')]);
    const named = await errorOf(await refusing.post({ model: modelId, prompt: 'a' }));
    expect(named).toMatchObject({ status: 503, message: expect.stringContaining(tiny.digest) });
    await refusing.service.stop();
    await other.dispose();
    await tiny.remove();
  });
});
