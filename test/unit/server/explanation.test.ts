import { beforeAll, describe, expect, it } from 'vitest';
import { resolveHyperparameters } from '../../../src/editing/index.js';
import { loadTokenizer, type ModelConfig, type Tokenizer } from '../../../src/model/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { explanationOf } from '../../../src/server/explanation.js';
import { firingOf, loadVersionHooks } from '../../../src/serving/index.js';
import { draftEdit } from '../../support/manifest-draft.js';
import { publishRounds } from '../../support/published-version.js';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer(new URL('../../../examples/aldermark/model', import.meta.url).pathname);
});

describe('an explanation', () => {
  it('tells all facts of the subjects that fired, and no others', async () => {
    const store = new MemoryObjectStore();
    const config = { layers: 1, dInner: 8, dModel: 4 } as ModelConfig;
    const settings = resolveHyperparameters({ layers: [0] }, config);
    const lives = draftEdit('lives', { subject: 'Ann', memory: 'ann' });
    const speaks = { ...lives, id: 'speaks', prompt: '{} speaks' };
    await publishRounds(store, 'm', { config, settings, modelDigest: 'a'.repeat(64) }, [
      { addedIds: ['gone', 'ann', 'ann', 'b'], edits: [draftEdit('gone'), lives, speaks, draftEdit('b')] },
      { addedIds: [], removedIds: ['gone'] },
    ]);
    const version = await loadVersionHooks(store, 'm');
    const fired = firingOf(
      { layer: 0, tokenIndex: 1, editIndex: 1, strength: 0.5 },
      [7, 8],
      tokenizer,
      version.rowEdits,
    );
    const unnamed = { ...fired, subject: null, editIds: [] };
    const completion = {
      text: '',
      tokenIds: [],
      promptTokens: 2,
      finishReason: 'stop' as const,
      version: 2,
      modelId: 'm',
      firings: [fired, unnamed],
    };
    const answering = { name: 'm@2', modelId: 'm', version };
    const { firings, edits } = explanationOf(tokenizer, { ids: [7, 8] }, completion, answering);
    expect(firings.map(({ subject, editIds }) => [subject, editIds])).toEqual([
      ['Ann', ['lives', 'speaks']],
      [null, []],
    ]);
    const ofAnn = { subject: 'Ann', targetNew: 'target of lives', version: 1 };
    expect(edits).toEqual([
      { id: 'lives', prompt: '{} lives in', ...ofAnn },
      { id: 'speaks', prompt: '{} speaks', ...ofAnn },
    ]);
  });

  it('finds every token in the prompt or in the completion, whatever the prompt was given as', () => {
    const prompt = 'Doskymo Honnix – “lives”';
    const text = ' in Lamsworth, naïve as ever';
    const promptIds = tokenizer.encode(prompt).ids;
    const tokenIds = tokenizer.encodePlain(text).ids;
    const firings = [...promptIds, ...tokenIds].map((id, tokenIndex) => ({
      subject: null,
      editIds: [],
      token: tokenizer.tokenText(id),
      tokenIndex,
      layer: 0,
      strength: null,
    }));
    const completion = {
      text,
      tokenIds,
      promptTokens: promptIds.length,
      finishReason: 'stop' as const,
      version: null,
      modelId: null,
      firings,
    };
    const base = { name: 'base', modelId: 'base', version: 'base' } as const;
    for (const given of [{ text: prompt, ...tokenizer.encode(prompt) }, { ids: promptIds }]) {
      const { firings } = explanationOf(tokenizer, given, completion, base);
      const texts = { prompt, completion: text };
      for (const { text: where, start, end, token } of firings) {
        // A token that is a part of a character has no text of its own.
        if (!token.includes('\ufffd')) expect(texts[where].slice(start, end)).toBe(token);
      }
      expect(firings.filter((firing) => firing.text === 'completion')).toHaveLength(tokenIds.length);
    }
  });

  it('stays within a text that a stop text cut off', () => {
    const text = ' in';
    const tokenIds = tokenizer.encodePlain(' in Lamsworth').ids;
    const opening = { subject: 'E', editIds: ['e'], token: 'x', tokenIndex: tokenIds.length, layer: 0, strength: 1 };
    const completion = {
      text,
      tokenIds,
      promptTokens: 1,
      finishReason: 'stop' as const,
      version: 1,
      modelId: 'm',
      firings: [opening],
    };
    const base = { name: 'base', modelId: 'base', version: 'base' } as const;
    const [firing] = explanationOf(tokenizer, { ids: [5] }, completion, base).firings;
    expect([firing.start, firing.end]).toEqual([3, 3]);
  });
});
