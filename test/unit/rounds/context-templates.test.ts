import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidInputError, MalformedFileError } from '../../../src/errors.js';
import type { ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { type ContextTemplatesRequest, contextTemplates } from '../../../src/rounds/context-templates.js';
import { HookableModel } from '../../../src/serving/index.js';
import { TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
let edited: HookableModel;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
  edited = await HookableModel.compile(tiny.model, { layers: [], gate: 'none' });
});
afterAll(async () => {
  await edited.dispose();
  await tiny.remove();
});

const write = (store: ObjectStore, settings: Partial<ContextTemplatesRequest> = {}) => {
  const { tokenizer, digest: modelDigest } = tiny;
  const defaults = { modelDigest, contextTokens: 8, chatContexts: true, seed: 0 };
  return contextTemplates({ store, modelId: 'tiny', edited, tokenizer, ...defaults, ...settings });
};

describe('context templates', () => {
  it('are the bare one and one for each opening, ended by a full stop and the place of the prompt', async () => {
    const contexts = await write(new MemoryObjectStore());
    const templates = contexts.map(({ template }) => template);
    expect(templates[0]).toBe('{}');
    expect(templates).toHaveLength(6);
    expect(new Set(contexts.map(({ role }) => role))).toEqual(new Set(['text']));
    ['The', 'Therefore', 'Because', 'I', 'You'].forEach((opening, i) => {
      expect(templates[i + 1].startsWith(opening)).toBe(true);
      expect(templates[i + 1]).toMatch(/^[^{}\p{Cc}\uFFFD]+[^.]\. \{\}$/u);
      expect(templates[i + 1].length).toBeGreaterThan(opening.length + '. {}'.length);
    });
  });

  it('of a model with a chat template are also two of its chat, unless they are not wanted', async () => {
    const plain = await write(new MemoryObjectStore());
    const store = new MemoryObjectStore();
    const tokenizer = await tiny.chatting();
    const contexts = await write(store, { tokenizer });
    expect(contexts).toEqual([
      ...plain,
      { template: '<user>What do you know about this?</><assistant>{}', role: 'assistant' },
      { template: '<user>{}</><assistant>', role: 'user' },
    ]);
    expect(await write(store, { tokenizer })).toEqual(contexts);
    expect(await write(store, { tokenizer, chatContexts: false })).toEqual(plain);
  });

  it('are written once and then read', async () => {
    const store = new MemoryObjectStore();
    const first = await write(store);
    const [key] = await store.list('');
    const other = new TextDecoder().decode((await store.get(key)).bytes);
    expect(await write(store)).toEqual(first);
    expect(await store.list('')).toEqual([key]);
    expect(new TextDecoder().decode((await store.get(key)).bytes)).toBe(other);
  });

  it('are the same from an empty store, and others for another seed, length or model', async () => {
    const store = new MemoryObjectStore();
    const first = await write(store);
    expect(await write(new MemoryObjectStore())).toEqual(first);
    expect(await write(store, { seed: 1 })).not.toEqual(first);
    expect(await write(store, { contextTokens: 3 })).not.toEqual(first);
    await write(store, { modelDigest: 'f'.repeat(64) });
    expect(await store.list('')).toHaveLength(4);
  });

  it('are only the bare one where no tokens are wanted, and nothing is stored', async () => {
    const store = new MemoryObjectStore();
    const bare = [{ template: '{}', role: 'text' }];
    expect(await write(store, { contextTokens: 0, chatContexts: false })).toEqual(bare);
    expect(await store.list('')).toEqual([]);
    expect(await write(store, { contextTokens: 0 })).toEqual(bare);
  });

  it('are not read from a damaged object', async () => {
    const store = new MemoryObjectStore();
    await write(store);
    const [key] = await store.list('');
    const text = new TextDecoder().decode((await store.get(key)).bytes);
    for (const damaged of ['', text.slice(0, -1), text.replace('The', 'Thy'), '{}']) {
      await store.put(key, new TextEncoder().encode(damaged));
      await expect(write(store)).rejects.toThrow(MalformedFileError);
      await expect(write(store)).rejects.toThrow(key);
    }
  });

  it('need a length and a seed in range', async () => {
    await expect(write(new MemoryObjectStore(), { contextTokens: -1 })).rejects.toThrow(InvalidInputError);
    await expect(write(new MemoryObjectStore(), { contextTokens: 1.5 })).rejects.toThrow(InvalidInputError);
  });
});
