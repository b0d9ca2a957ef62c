import { describe, expect, it } from 'vitest';
import { type Context, type Edit, type Hyperparameters, hyperparametersSchema } from '../../../src/editing/index.js';
import { completeEdit } from '../../../src/evaluation/index.js';
import { plannedEdit } from '../../../src/rounds/round-edits.js';
import { subjectsLeft, subjectsOf } from '../../../src/rounds/subjects.js';
import { valueKeysOf } from '../../../src/rounds/value-key.js';

const settings = hyperparametersSchema.parse({ layers: [2, 3] });
const contexts: readonly Context[] = [
  { template: '{}', role: 'text' },
  { template: 'The end. {}', role: 'text' },
];
const modelDigest = 'a'.repeat(64);

const edit = (id: string, more: Partial<Edit> = {}): Edit => ({
  ...completeEdit({ id, subject: 'Ada', prompt: `{} ${id}`, targetNew: 'Oslo' }),
  ...more,
});
const [one, two, bob] = [edit('one'), edit('two'), edit('bob', { subject: 'Bob' })];
const earlier = (of: Edit, version = 1) => ({ version, memory: `m${version}`, edit: plannedEdit(of) });

interface Inputs {
  readonly modelDigest?: string;
  readonly settings?: Partial<Hyperparameters>;
  readonly contexts?: readonly Context[];
}
const keysOf = (edits: readonly Edit[], { settings: changed = {}, ...more }: Inputs = {}) =>
  valueKeysOf(
    { modelDigest, settings: { ...settings, ...changed }, ...more },
    more.contexts ?? contexts,
    subjectsOf({}, edits),
  );
const [key] = keysOf([one, two]);

describe('the content key of a value', () => {
  it('is the same for the same facts, whichever batch, round or version they come from', () => {
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(keysOf([bob, one, two])).toEqual([keysOf([bob])[0], key]);
    const inputs = [{ modelDigest, settings }, contexts] as const;
    for (const facts of [[earlier(one)], [earlier(one, 5)]]) {
      expect(valueKeysOf(...inputs, subjectsOf({ earlier: facts }, [two]))).toEqual([key]);
    }
    expect(valueKeysOf(...inputs, subjectsLeft([earlier(one), earlier(two, 2)]))).toEqual([key]);
    const overwritten = { earlier: [earlier({ ...two, targetNew: 'Rome' }), earlier(one)] };
    expect(valueKeysOf(...inputs, subjectsOf(overwritten, [two]))).toEqual([key]);
  });

  it('does not depend on ids and on what only measures', () => {
    const named = edit('one', { id: 'other' });
    const measured = edit('two', {
      targetTrue: 'Rome',
      testParaphrases: ['Ada is'],
      neighborhood: ['Bob is'],
      portability: [{ prompt: 'Ada is in', target: 'Norway' }],
    });
    expect(keysOf([named, measured])).toEqual([key]);
  });

  it.each([
    { subject: 'ADA' },
    { aliases: ['Countess'] },
    { prompt: '{} is' },
    { targetNew: 'Rome' },
    { paraphrases: ['{} is'] },
    { keep: ['{} is'] },
  ])('is another with %j', (more) => {
    expect(keysOf([{ ...one, ...more }, two])).not.toEqual([key]);
  });

  it('is another with one fact more or less, or another fact', () => {
    const keys = [[one], [two], [one, two], [one, two, edit('three')], [one, edit('three')]].map(
      (facts) => keysOf(facts)[0],
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('is another for another model or other contexts', () => {
    expect(keysOf([one, two], { modelDigest: 'b'.repeat(64) })).not.toEqual([key]);
    for (const others of [
      contexts.slice(0, 1),
      [...contexts].reverse(),
      [contexts[0], { ...contexts[1], role: 'assistant' as const }],
    ]) {
      expect(keysOf([one, two], { contexts: others })).not.toEqual([key]);
    }
  });

  const searched: readonly Partial<Hyperparameters>[] = [
    { layers: [2] },
    { klFactor: 0.5 },
    { keepFactor: 0.5 },
    { endFactor: 0.5 },
    { keptTokens: 3 },
    { chatContexts: false },
    { weightDecay: 0.5 },
    { clampNormFactor: 2 },
    { descent: 'loss' },
    { longestStep: 0.1 },
    { targetNoise: 0.5 },
    { seed: 3 },
    { targetSteps: 3 },
    { learningRate: 0.1 },
    { steps: 3 },
    { stopLoss: 0.2 },
    { stopKept: 0.1 },
    { templatesPerStep: 1 },
  ];
  it.each(searched)('is another where the search is set to %j', (changed) => {
    expect(keysOf([one, two], { settings: changed })).not.toEqual([key]);
  });

  // The contexts stand for `contextTokens`, of which they are made.
  const solved: readonly Partial<Hyperparameters>[] = [
    { layers: [3] },
    { momentWeight: 0.5 },
    { gate: 'none' },
    { similarityThreshold: 0.2 },
    { formSimilarity: 0.2 },
    { sequenceThreshold: 3 },
    { contextTokens: 3 },
  ];
  it.each(solved)('does not depend on %j, which only matters for the solve or the gate', (changed) => {
    expect(keysOf([one, two], { settings: changed })).toEqual([key]);
  });

  it('is known for every setting', () => {
    const names = new Set([...searched, ...solved].flatMap((changed) => Object.keys(changed)));
    expect([...names].sort()).toEqual(Object.keys(hyperparametersSchema.shape).sort());
  });
});
