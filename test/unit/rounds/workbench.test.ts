import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hyperparametersSchema } from '../../../src/editing/index.js';
import { TransientError } from '../../../src/errors.js';
import { Weights } from '../../../src/model/blocks/weights.js';
import type { Model } from '../../../src/model/index.js';
import type { ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { Workbench } from '../../../src/rounds/workbench.js';
import { intercepted } from '../../support/faulty-object-store.js';
import { TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
});
afterAll(() => tiny.remove());

function benchOn(store: ObjectStore, layer: number, model: Model = tiny.model): Workbench {
  const { tokenizer, digest: modelDigest } = tiny;
  const settings = hyperparametersSchema.parse({ layers: [layer], contextTokens: 2 });
  return new Workbench({ store, modelId: 'tiny', modelDigest, model, tokenizer, settings, memoryBudgetBytes: 2 ** 30 });
}

/** A store that does not answer the first time it is asked. */
function failingOnce(store: ObjectStore): ObjectStore {
  let isFirst = true;
  return intercepted(store, (carryOut) => {
    if (!isFirst) return carryOut();
    isFirst = false;
    return Promise.reject(new TransientError('store: an answer, got none'));
  });
}

describe('a workbench', () => {
  it('makes again what failed to be made', async () => {
    const bench = benchOn(failingOnce(new MemoryObjectStore()), 0);
    await expect(bench.contexts()).rejects.toThrow(TransientError);
    const contexts = await bench.contexts();
    expect(contexts).toHaveLength(6);
    expect(await bench.contexts()).toBe(contexts);
    await bench.dispose();
  });

  it('holds the programs of a large model for one purpose at a time, and those of others side by side', async () => {
    const { model } = tiny;
    const { directory, opened, tensors, prefix } = model.weights;
    const large = new Weights(directory, opened, tensors, prefix);
    Object.defineProperty(large, 'numbers', { value: 2 ** 30 });
    const asked = async (bench: Workbench) => {
      const first = await bench.values();
      const edited = await bench.edited();
      const second = await bench.values();
      const goesOn = await edited.generate([[1]], { maxTokens: 1 }).then(
        () => true,
        () => false,
      );
      await bench.dispose();
      return { isSame: first === second, goesOn };
    };
    const store = new MemoryObjectStore();
    expect(await asked(benchOn(store, 0))).toEqual({ isSame: true, goesOn: true });
    expect(await asked(benchOn(store, 0, { ...model, weights: large }))).toEqual({ isSame: false, goesOn: false });
  });

  it('can be disposed of after something failed to compile', async () => {
    const bench = benchOn(new MemoryObjectStore(), 99);
    await expect(bench.collection()).rejects.toThrow();
    await expect(bench.dispose()).resolves.toBeUndefined();
  });
});
