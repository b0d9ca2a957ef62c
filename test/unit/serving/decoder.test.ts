import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HookLayer } from '../../../src/editing/index.js';
import { loadModel, type Model } from '../../../src/model/index.js';
import { HookableModel } from '../../../src/serving/index.js';

const directory = new URL('../../golden/models/llama', import.meta.url).pathname;
const layer = 1;
const prompts = Array.from({ length: 80 }, (_, p) =>
  Array.from({ length: 1 + (p % 7) }, (_, t) => (7 * p + 13 * t) % 80),
);

let model: Model;
let served: HookableModel;

beforeAll(async () => {
  model = await loadModel(directory);
  served = await HookableModel.compile(model, { layers: [layer], gate: 'key' });
});

afterAll(() => served.dispose());

/** An edit whose gate opens on everything. */
function wideOpenHooks(step: number): HookLayer[] {
  const { dInner, dModel } = model.config;
  const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));
  const [whitenedKeys, coefficients, sketch] = [wave(dInner), wave(dModel), wave(4 * dInner)];
  const keyNorms = Float32Array.of(1);
  const hook = { layer, dInner, whitenedKeys, coefficients, ownCoefficients: coefficients, keyNorms, sketch };
  return [{ ...hook, thresholds: Float32Array.of(-1e6), sequenceThreshold: 2 }];
}

const tokens = async (generations: readonly Promise<{ readonly tokenIds: readonly number[] }>[]) =>
  (await Promise.all(generations)).map(({ tokenIds }) => tokenIds);

describe('generations at the same time', () => {
  it('give each the tokens that it gets alone, under its own hooks, whenever it comes', async () => {
    const versions = [undefined, wideOpenHooks(0.7), wideOpenHooks(1.3)];
    const optionsOf = (p: number) => {
      const hooks = versions[p % 3];
      return { maxTokens: 3 + (p % 9), ...(hooks && { hooks }) };
    };
    const alone: (readonly number[])[] = [];
    for (const [p, prompt] of prompts.entries()) {
      alone.push((await served.generate([prompt], optionsOf(p)))[0].tokenIds);
    }
    const running: Promise<{ readonly tokenIds: readonly number[] }>[] = [];
    let steps = 0;
    for (const [p, prompt] of prompts.entries()) {
      running.push(served.decode(prompt, { ...optionsOf(p), onToken: () => void steps++ }));
      if (p % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await tokens(running)).toEqual(alone);
    expect(steps).toBe(alone.flat().length);
    expect(new Set(alone.map(String)).size).toBeGreaterThan(40);
  });

  it('are computed together: a latecomer ends while the first one is still under way', async () => {
    const ended: string[] = [];
    let late: Promise<unknown> | undefined;
    const onToken = () => {
      late ??= served.decode([5], { maxTokens: 2 }).then(() => ended.push('late'));
      return undefined;
    };
    await served.decode(prompts[0], { maxTokens: 30, onToken }).then(() => ended.push('first'));
    await late;
    expect(ended).toEqual(['late', 'first']);
  });

  it('draw by their own seeds, whoever is beside them', async () => {
    const draw = (seed: number) => ({ maxTokens: 8, temperature: 1, seed });
    const alone = [await served.decode([3], draw(1)), await served.decode([3], draw(2))].map(
      ({ tokenIds }) => tokenIds,
    );
    const together = [served.decode([3], draw(1)), served.decode([9], { maxTokens: 8 }), served.decode([3], draw(2))];
    const [first, , second] = await tokens(together);
    expect([first, second]).toEqual(alone);
    expect(first).not.toEqual(second);
  });

  it('end for their own reasons', async () => {
    const whole = await served.decode(prompts[6], { maxTokens: 1000 });
    expect(whole.finishReason).toBe('length');
    expect(whole.tokenIds.length).toBe(model.config.maxTokens - prompts[6].length);
    const stopIds = [whole.tokenIds[4]];
    const stopped = await served.decode(prompts[6], { maxTokens: 20, stopIds });
    expect(stopped.finishReason).toBe('stop');
    expect(stopped.tokenIds).toEqual(whole.tokenIds.slice(0, whole.tokenIds.indexOf(stopIds[0])));
    const heard: number[] = [];
    const enough = (id: number) => heard.push(id) < 3;
    const ended = await served.decode(prompts[6], { maxTokens: 20, onToken: enough });
    expect(ended).toMatchObject({ finishReason: 'stop', tokenIds: whole.tokenIds.slice(0, 3) });
  });

  it('leave when they are aborted, before they begin or on their way, and the others go on', async () => {
    const early = served.decode([4], { maxTokens: 5, signal: AbortSignal.abort() });
    const abort = new AbortController();
    let heard = 0;
    const onToken = () => {
      if (++heard === 3) abort.abort();
      return undefined;
    };
    const going = served.decode([4], { maxTokens: 50, signal: abort.signal, onToken });
    const other = served.decode([8, 9], { maxTokens: 50 });
    expect(await early).toMatchObject({ finishReason: 'aborted', tokenIds: [] });
    expect(await going).toMatchObject({ finishReason: 'aborted' });
    expect((await going).tokenIds).toHaveLength(3);
    expect((await other).tokenIds).toEqual((await served.generate([[8, 9]], { maxTokens: 50 }))[0].tokenIds);
  });

  it('fail together when the model cannot run, and the next ones find it as it is', async () => {
    const doomed = await HookableModel.compile(model, { layers: [], gate: 'key' });
    await doomed.dispose();
    const failures = await Promise.allSettled([
      doomed.decode([1], { maxTokens: 2 }),
      doomed.decode([2], { maxTokens: 2 }),
    ]);
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(doomed.decode([1], { maxTokens: 2 })).rejects.toThrow('not disposed');
  });
});
