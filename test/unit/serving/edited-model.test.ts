import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DigestMismatchError, InvalidInputError } from '../../../src/errors.js';
import { loadModel, loadTokenizer } from '../../../src/model/index.js';
import { type PulledVersion, pull } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { EditedModel, HookableModel, type VersionHooks } from '../../../src/serving/index.js';
import { versionHooks } from '../../../src/serving/version-hooks.js';
import { publishFiring } from '../../support/firing-versions.js';
import { draftEdit } from '../../support/manifest-draft.js';
import { expectSameState } from '../../support/same-state.js';

const directory = join(import.meta.dirname, '../../../examples/aldermark/model');
const prompts = ['The mayor of Aldermark', 'The mayor of Anna said', 'In the north of the valley there is a', 'River'];
const maxTokens = 8;

/** Two facts of one subject, whose memory has one row. */
const mayor = draftEdit('mayor', { subject: 'Aldermark', prompt: 'The mayor of {}', memory: 'Aldermark' });
const baker = { ...mayor, id: 'baker', prompt: 'The baker of {}' };

let artifacts: PulledVersion[];
/** The same edits behind gates that open nowhere. */
let shut: PulledVersion;
let edited: EditedModel;
let versions: VersionHooks[];

async function publishVersions(modelId: string, similarityThreshold: number, layers = [0]): Promise<PulledVersion[]> {
  const store = new MemoryObjectStore();
  const base = { model: await loadModel(directory), tokenizer: await loadTokenizer(directory) };
  const rounds = [
    { addedIds: ['Aldermark', 'Anna'], edits: [mayor, baker, draftEdit('Anna')] },
    { addedIds: ['Barnhill'], removedIds: ['Anna'] },
  ];
  const published = await publishFiring(store, modelId, base, { rounds, similarityThreshold, layers });
  return Promise.all(published.map(({ version }) => pull(store, modelId, version.version)));
}

beforeAll(async () => {
  artifacts = await publishVersions('open', 0.9);
  [, shut] = await publishVersions('shut', 1);
  edited = await EditedModel.load(directory, artifacts[0]);
  versions = await Promise.all(artifacts.map((artifact) => edited.prepare(artifact)));
  edited.switchTo(versions[0]);
});

afterAll(() => edited.dispose());

/** What one version says to each prompt when it is asked alone, from the whole prefix at every step. */
async function recomputed(version: VersionHooks | undefined): Promise<string[]> {
  const { layers, gate } = (version ?? versions[0]).manifest;
  const engine = await HookableModel.compile(edited.model, { layers, gate: gate.kind });
  const texts: string[] = [];
  for (const prompt of prompts) {
    const ids = [...edited.tokenizer.encode(prompt).ids];
    const promptTokens = ids.length;
    while (ids.length < promptTokens + maxTokens) {
      const [{ argMaxIds }] = await engine.score([{ tokenIds: [...ids, 0], scoredFrom: ids.length }], version?.hooks);
      if (edited.tokenizer.eosIds.includes(argMaxIds[0])) break;
      ids.push(argMaxIds[0]);
    }
    texts.push(edited.tokenizer.decode(ids).slice(edited.tokenizer.decode(ids.slice(0, promptTokens)).length));
  }
  await engine.dispose();
  return texts;
}

describe('the tokens of a prompt', () => {
  it('are refused where it has more characters than they can stand for, before it is split', async () => {
    const longest = 512 * edited.tokenizer.longestTokenText!;
    const refused = edited.encode('a'.repeat(longest + 1));
    await expect(refused).rejects.toThrow(
      `text: at most ${longest} characters, which no 512 tokens exceed, got ${longest + 1}`,
    );
    await expect(edited.encode('!'.repeat(600))).rejects.toThrow('text: 1 to 512 tokens, got 600');
    await expect(edited.encode('')).rejects.toThrow('text: 1 to 512 tokens, got 0');
    expect(await edited.encode(prompts[0])).toEqual(edited.tokenizer.encode(prompts[0]));
  });
});

describe('an edited model', () => {
  it('says with a cache, in company, and under several versions at once what full recomputation says', async () => {
    const asked = [versions[0], versions[1], undefined];
    const expected = await Promise.all(asked.map(recomputed));
    const answers = await Promise.all(
      asked.map((version) =>
        Promise.all(prompts.map((prompt) => edited.complete({ prompt, maxTokens, version: version ?? 'base' }))),
      ),
    );
    expect(answers.map((row) => row.map(({ text }) => text))).toEqual(expected);
    expect(answers.map((row) => row.map(({ version }) => version))).toEqual(
      [1, 2, null].map((n) => prompts.map(() => n)),
    );
    expect(new Set(expected.map(String)).size).toBe(3);
  });

  it('streams pieces that make up the completion', async () => {
    const pieces: string[] = [];
    const stream = edited.stream({ prompt: prompts[2], maxTokens });
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) pieces.push(step.value);
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toBe(step.value.text);
    expect(step.value).toEqual(await edited.complete({ prompt: prompts[2], maxTokens }));
  });

  it('says whose edits fired, at which token, and how strongly', async () => {
    const { firings, tokenIds } = await edited.complete({ prompt: prompts[0], maxTokens, version: versions[1] });
    expect(firings.length).toBeGreaterThan(0);
    const ids = [...edited.tokenizer.encode(prompts[0]).ids, ...tokenIds];
    expect(firings[0]).toMatchObject({ subject: 'Aldermark', editIds: ['mayor', 'baker'] });
    const named = [firings[0], { subject: 'subject of Barnhill', editIds: ['Barnhill'] }];
    for (const { subject, editIds, token, tokenIndex, layer, strength } of firings) {
      expect(named.map((one) => [one.subject, one.editIds])).toContainEqual([subject, editIds]);
      expect(token).toBe(edited.tokenizer.tokenText(ids[tokenIndex]));
      expect(layer).toBe(0);
      expect(strength).toBeGreaterThanOrEqual(Math.fround(0.9));
    }
    expect((await edited.complete({ prompt: prompts[0], maxTokens, version: 'base' })).firings).toEqual([]);
  });

  it('is the base model bit for bit where no gate opens', async () => {
    const closed = await edited.prepare(shut);
    for (const prompt of prompts) {
      const [base, same, other] = await Promise.all([
        edited.logits({ prompt, version: 'base' }),
        edited.logits({ prompt, version: closed }),
        edited.logits({ prompt, version: versions[1] }),
      ]);
      expect(same.shape).toEqual([edited.tokenizer.encode(prompt).ids.length, edited.model.config.vocab]);
      expect(Buffer.from(same.data.buffer).equals(Buffer.from(base.data.buffer))).toBe(true);
      const fires = prompt === prompts[0];
      expect(Buffer.from(other.data.buffer).equals(Buffer.from(base.data.buffer))).toBe(!fires);
    }
  });

  it('answers with one version from the first token to the last while it is switched', async () => {
    const before = await edited.complete({ prompt: prompts[0], maxTokens });
    const stream = edited.stream({ prompt: prompts[0], maxTokens });
    await stream.next();
    edited.switchTo(versions[1]);
    const after = await edited.complete({ prompt: prompts[0], maxTokens });
    let step = await stream.next();
    while (!step.done) step = await stream.next();
    expect(step.value).toEqual(before);
    expect(after.version).toBe(2);
    expect(after.text).not.toBe(before.text);
    edited.switchTo(versions[0]);
    expect((await edited.complete({ prompt: prompts[0], maxTokens })).text).toBe(before.text);
  });

  it('reads for a version that goes on from the current one only what is new', async () => {
    const whole = await versionHooks(artifacts[1]);
    const withoutFirst = { ...artifacts[1], files: new Map(artifacts[1].files) };
    const [first] = artifacts[1].manifest.segments;
    withoutFirst.files.delete(first.key);
    const continued = await versionHooks(withoutFirst, { held: await versionHooks(artifacts[0]) });
    expectSameState(continued.state, whole.state);
    for (const artifact of [artifacts[0], shut]) {
      const [held, alone] = [await versionHooks(artifact, { held: whole }), await versionHooks(artifact)];
      // Node compares numbers many times faster than an assertion that could show them.
      expect(isDeepStrictEqual(held, alone)).toBe(true);
    }
  });

  it('holds versions of other layers and other lineages beside', async () => {
    const [elsewhere] = await publishVersions('elsewhere', 0.9, [2, 3]);
    const tenant = await edited.prepare(elsewhere);
    const [here, there] = await Promise.all([
      edited.complete({ prompt: prompts[0], maxTokens }),
      edited.complete({ prompt: prompts[0], maxTokens, version: tenant }),
    ]);
    expect([here.modelId, there.modelId]).toEqual(['open', 'elsewhere']);
    expect([here.text, here.text]).not.toEqual([there.text, there.text]);
  });

  it('ends at a stop string, when it is aborted, and when nobody reads on', async () => {
    const { text } = await edited.complete({ prompt: prompts[2], maxTokens });
    const stop = [text.slice(9, 13)];
    const stopped = await edited.complete({ prompt: prompts[2], maxTokens, stop });
    expect(stopped).toMatchObject({ text: text.slice(0, text.indexOf(stop[0])), finishReason: 'stop' });
    const signal = AbortSignal.abort();
    expect(await edited.complete({ prompt: prompts[0], maxTokens, signal })).toMatchObject({
      finishReason: 'aborted',
      text: '',
    });
    const left = edited.stream({ prompt: prompts[0], maxTokens: 1000 });
    await left.next();
    expect(await left.return(undefined as never)).toMatchObject({ done: true });
  });

  it('refuses a version for another base model, with both digests, and goes on', async () => {
    const foreign = { ...artifacts[0], manifest: { ...artifacts[0].manifest, modelDigest: 'f'.repeat(64) } };
    for (const work of [edited.prepare(foreign), EditedModel.load(directory, foreign)]) {
      await expect(work).rejects.toThrow(DigestMismatchError);
      await expect(work).rejects.toThrow(edited.modelDigest);
    }
    expect(edited.current).toBe(versions[0]);
  });

  it('refuses requests that it cannot fulfil', async () => {
    const refuse = async (request: object, message: string) => {
      const work = edited.complete({ prompt: prompts[0], maxTokens, ...request });
      await expect(work).rejects.toThrow(InvalidInputError);
      await expect(work).rejects.toThrow(message);
    };
    await refuse({ prompt: [] }, '1 to');
    await refuse({ prompt: [1_000_000] }, 'token ids of');
    await refuse({ maxTokens: 0 }, 'maxTokens');
    await refuse({ topP: 0 }, 'topP: a number above 0, at most 1, got 0');
    await refuse({ stop: [''] }, 'stop');
  });
});
