import type { HTTPException } from 'hono/http-exception';
import { describe, expect, it } from 'vitest';
import { parseCompletionCall } from '../../../src/server/completion-call.js';
import { defaultLimits } from '../../../src/server/service-limits.js';

const limits = { ...defaultLimits, maxTokens: 100, maxConcurrency: 8 };
const parse = (body: object) => parseCompletionCall(JSON.stringify({ model: 'm', prompt: 'a', ...body }), limits);

/** The error that a body is refused with. */
async function errorOf(text: string): Promise<{ status: number; message: string; param: string | null }> {
  try {
    parseCompletionCall(text, limits);
  } catch (error) {
    const response = (error as HTTPException).getResponse();
    const { error: body } = (await response.json()) as { error: { message: string; type: string; param: string } };
    expect(body.type).toBe('invalid_request_error');
    return { status: response.status, message: body.message, param: body.param };
  }
  throw new Error(`${text}: refused, got accepted`);
}

describe('a completion call', () => {
  it('is refused where a field is nested too deep', async () => {
    const nest = '['.repeat(10_000) + ']'.repeat(10_000);
    for (const field of ['logit_bias', 'prompt', 'stop', 'nobody_knows']) {
      const { status, message } = await errorOf(`{"model":"m","prompt":"a","${field}":${nest}}`);
      expect(status).toBe(400);
      expect(message).toContain('arrays and objects nested deeper than 100');
    }
  });

  it('has OpenAI’s defaults', () => {
    expect(parse({})).toEqual({
      model: 'm',
      prompts: ['a'],
      choicesPerPrompt: 1,
      maxTokens: 16,
      temperature: 1,
      topP: 1,
      seed: undefined,
      stop: [],
      isStreamed: false,
      includesUsage: false,
      echoes: false,
      explains: false,
    });
  });

  it.each([
    ['a text', 'a b', ['a b']],
    ['texts', ['a', ''], ['a', '']],
    ['tokens', [1, 2], [[1, 2]]],
    ['lists of tokens', [[1], [2, 3]], [[1], [2, 3]]],
  ])('takes %s as its prompt', (_, prompt, prompts) => {
    expect(parse({ prompt }).prompts).toEqual(prompts);
  });

  it('takes everything that it knows, and null for what is not said', () => {
    const said = {
      max_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      n: 2,
      stream: true,
      stream_options: { include_usage: true },
      stop: ['x', 'y'],
      seed: 7,
      echo: true,
      user: 'u',
      hookline: { explain: true },
    };
    expect(parse(said)).toMatchObject({
      maxTokens: 5,
      temperature: 0,
      topP: 0.5,
      choicesPerPrompt: 2,
      isStreamed: true,
      includesUsage: true,
      stop: ['x', 'y'],
      seed: 7,
      echoes: true,
      explains: true,
    });
    expect(parse(Object.fromEntries(Object.keys(said).map((name) => [name, null])))).toEqual(parse({}));
    expect(parse({ stop: 'x' }).stop).toEqual(['x']);
  });

  it('takes what it lacks where it changes nothing', () => {
    const neutral = {
      best_of: 1,
      logprobs: null,
      suffix: '',
      logit_bias: {},
      presence_penalty: 0,
      frequency_penalty: 0,
    };
    expect(parse(neutral)).toEqual(parse({}));
  });

  it.each([
    ['prompt', { prompt: 5 }, 'prompt: a text, a list of texts, a list of token ids, or a list of such lists'],
    ['prompt', { prompt: [] }, 'prompt: a text'],
    ['prompt', { prompt: [1, 'a'] }, 'prompt: a text'],
    ['prompt', { prompt: [1.5] }, 'prompt: a text'],
    ['prompt', { prompt: [-1] }, 'prompt: a text'],
    ['prompt', { prompt: [[1], []] }, 'prompt: a text'],
    ['prompt', { prompt: [['a']] }, 'prompt: a text'],
    ['model', { model: undefined }, 'model: Invalid input: expected string'],
    ['max_tokens', { max_tokens: 0 }, 'max_tokens: Too small'],
    ['max_tokens', { max_tokens: 101 }, 'max_tokens: at most 100, the limit of this service, got 101'],
    ['temperature', { temperature: 2.1 }, 'temperature: Too big'],
    ['temperature', { temperature: 'hot' }, 'temperature: Invalid input: expected number'],
    ['top_p', { top_p: 0 }, 'top_p: Too small'],
    ['n', { n: 0 }, 'n: Too small'],
    ['n', { n: 9 }, 'n times prompts: at most 8, the limit of this service, got 9'],
    ['n', { n: 3, prompt: ['a', 'b', 'c'] }, 'n times prompts: at most 8, the limit of this service, got 9'],
    ['stop.0', { stop: [''] }, 'stop.0: Too small'],
    ['stop', { stop: ['1', '2', '3', '4', '5'] }, 'stop: a text, or up to four texts, none empty'],
    ['stop', { stop: 'x'.repeat(1001) }, 'stop: Too big'],
    ['seed', { seed: 0.5 }, 'seed: Invalid input: expected int'],
    ['stream_options', { stream_options: { include_usage: true } }, 'stream_options: only with stream'],
    ['best_of', { best_of: 2 }, 'best_of: not supported by this service'],
    ['logprobs', { logprobs: 3 }, 'logprobs: not supported by this service'],
    ['logit_bias', { logit_bias: { 5: 1 } }, 'logit_bias: not supported by this service'],
    ['suffix', { suffix: 'b' }, 'suffix: not supported by this service'],
    ['presence_penalty', { presence_penalty: 1 }, 'presence_penalty: not supported by this service'],
    ['tools', { tools: [] }, 'tools: a parameter that this service knows, got another'],
    ['hookline.explian', { hookline: { explian: true } }, 'hookline.explian: a parameter that this service knows'],
  ])('is refused for its %s: %j', async (param, more, message) => {
    const error = await errorOf(JSON.stringify({ model: 'm', prompt: 'a', ...more }));
    expect(error).toMatchObject({ status: 400, param });
    expect(error.message).toContain(message);
  });

  it.each([
    ['', 'body: JSON, got what cannot be read'],
    ['{"model": ', 'body: JSON, got what cannot be read: Unexpected end of JSON input'],
    ['[]', 'body: Invalid input: expected object, received array'],
    ['null', 'body: Invalid input: expected object, received null'],
  ])('is refused if it is %j', async (text, message) => {
    const error = await errorOf(text);
    expect(error).toMatchObject({ status: 400, param: null });
    expect(error.message).toContain(message);
  });

  it('asks for no more than a small limit where it says nothing', () => {
    expect(parseCompletionCall('{"model":"m","prompt":"a"}', { ...limits, maxTokens: 4 }).maxTokens).toBe(4);
  });
});
