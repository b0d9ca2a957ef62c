import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { euclideanNorm, markSubject, tokenizeMarked } from '../../../src/editing/index.js';
import { measureEdits } from '../../../src/evaluation/index.js';
import { multiply } from '../../../src/linalg/gemm.js';
import { readDownProjection } from '../../../src/model/index.js';
import { compareGates } from '../../../src/rounds/compare-gates.js';
import { evaluateVersion, type HookedSubject, type VersionEvaluation } from '../../../src/rounds/evaluate-version.js';
import { explainGates } from '../../../src/rounds/explain-gates.js';
import { layerChanges } from '../../../src/rounds/layer-changes.js';
import { withSequenceThresholds } from '../../../src/rounds/sequence-thresholds.js';
import type { RoundOutcome } from '../../../src/rounds/session/edit-round.js';
import { type EditSession, openEditSession } from '../../../src/rounds/session/edit-session.js';
import { HookableModel, loadVersionHooks, type MeasuredModel, type VersionHooks } from '../../../src/serving/index.js';
import { BundledModel } from '../../support/bundled-model.js';

let bundled: BundledModel;
let session: EditSession;
let outcome: RoundOutcome;
let version: VersionHooks;
let subject: HookedSubject;
let evaluation: VersionEvaluation;
beforeAll(async () => {
  bundled = await BundledModel.open(4);
  const { store, modelId, edits, heldOut, tokenizer } = bundled;
  session = await openEditSession({ ...bundled, settings: { layers: [0], learningRate: 1, contextTokens: 4 } });
  const rounds = session.edit([edits.slice(0, 3)]);
  outcome = (await rounds.next()).value as RoundOutcome;
  version = await loadVersionHooks(store, modelId);
  subject = { edited: await session.bench.edited(), tokenizer, hooks: version.hooks };
  evaluation = await evaluateVersion(subject, edits.slice(0, 3), heldOut);
});
afterAll(() => session.close());

describe('a published version', () => {
  it('measures on its own edits what its manifest says', () => {
    const { retention: _, ...metrics } = outcome.metrics as unknown as Record<string, number>;
    const { summary, said, drift } = evaluation;
    expect(metrics).toMatchObject({ ...summary, said });
    expect(drift!.perplexityRatio).toBeCloseTo(metrics.perplexityRatio, 5);
    expect(drift!.swapRate).toBe(metrics.swapRate);
    expect(summary.reliability).toBe(1);
  });

  it('measures what follows, and counts no taught phrasing as generality', async () => {
    const [edit] = bundled.edits;
    const prompt = edit.prompt.replace('{}', edit.subject);
    const asked = {
      ...edit,
      paraphrases: [edit.prompt],
      testParaphrases: [],
      portability: [
        { prompt, target: edit.targetNew },
        { prompt, target: edit.targetTrue! },
      ],
    };
    const { measurements, summary } = await evaluateVersion(subject, [asked], []);
    expect(measurements[0]).toMatchObject({
      reliability: 1,
      generality: [],
      paraphraseSuccess: [],
      portability: [1, 0],
    });
    expect(summary).toMatchObject({ generality: null, paraphraseSuccess: null, portability: 0.5 });
  });

  it('leaves edits alone that it does not hold', async () => {
    const other = await evaluateVersion(subject, bundled.edits.slice(3), []);
    expect(other).toMatchObject({
      said: 0,
      drift: null,
      summary: { reliability: 0, sameSubjectLocality: 1 },
    });
    expect(other.answers).toEqual(other.baseAnswers);
  });

  it('names the edit that opened each gate, at the last token of the subject', async () => {
    const edits = bundled.edits.slice(0, 3);
    const prompts = await explainGates(subject, edits, version.rowEdits);
    const own = prompts.filter(({ kind }) => kind === 'edit');
    expect(own.map(({ firings }) => firings.map(({ editIds }) => editIds))).toEqual(edits.map(({ id }) => [[id]]));
    own.forEach(({ firings: [firing] }, e) => {
      const marked = markSubject(edits[e].prompt, edits[e].subject);
      const { tokenIds, lookups } = tokenizeMarked(bundled.tokenizer, marked, []);
      const [lookupIndex] = lookups;
      const token = bundled.tokenizer.tokenText(tokenIds[lookupIndex]);
      const { strength } = evaluation.measurements[e].firing!;
      expect(firing).toMatchObject({ tokenIndex: lookupIndex, token, layer: 0, strength });
    });
    expect(prompts.filter(({ kind, firings }) => kind === 'neighborhood' && firings.length > 0)).toEqual([]);
  });

  it('asks the base model only where a gate opened, and measures the same', async () => {
    const { edited, tokenizer, hooks } = subject;
    const asked: [by: string, sequences: number][] = [];
    const listening = (isShared: boolean): MeasuredModel => ({
      limits: edited.limits,
      generate: (prompts, options) => edited.generate(prompts, options),
      compare: (sequences, given) => edited.compare(sequences, given),
      score: async (requests, given) => {
        asked.push([given ? 'edited' : 'base', requests.length]);
        return (await edited.score(requests, given)).map((score) => ({ ...score, isBase: isShared && score.isBase }));
      },
    });
    const edits = bundled.edits.slice(0, 3);
    const shared = await measureEdits(listening(true), tokenizer, edits, hooks);
    const apart = await measureEdits(listening(false), tokenizer, edits, hooks);
    expect(shared).toEqual(apart);
    const [[, all], [, few], [, again], [, every]] = asked;
    expect(again).toBe(all);
    expect(few).toBeLessThan(every / 2);
    expect(shared[0].signals).toMatchObject({ edit: shared[0].firing!.strength });
  });

  it('says how much of each weight it changed', async () => {
    const [{ layer, memory }] = version.state.layers;
    const weight = await readDownProjection(bundled.model, layer);
    const change = multiply(memory.coefficients, memory.whitenedKeys);
    const [told] = await layerChanges(bundled.model, version.state, session.bench.engine);
    expect(told).toMatchObject({ layer: 0, edits: version.state.rowIds.length });
    expect(new Set(version.state.rowIds).size).toBe(3);
    expect(told.relativeChange).toBeCloseTo(euclideanNorm(change.data) / euclideanNorm(weight.data), 9);
  });

  it('is behind the sequence gate what the comparison of gates says', async () => {
    const { model, tokenizer, edits, heldOut } = bundled;
    const own = edits.slice(0, 3);
    const rows = await compareGates(session.bench, { state: version.state, edits: own, heldOut });
    const request = { model, tokenizer, hooks: version.hooks, settings: session.bench.settings, edits: own };
    const hooks = await withSequenceThresholds(request);
    const edited = await HookableModel.compile(model, { layers: [0], gate: 'sequence' });
    const { summary, drift } = await evaluateVersion({ edited, tokenizer, hooks }, own, heldOut);
    await edited.dispose();
    const row = rows.find(({ gate }) => gate === 'sequence')!;
    const { reliability, generality, locality, sameSubjectLocality } = summary;
    expect(row).toMatchObject({ reliability, generality, locality, sameSubjectLocality });
    expect(drift!.perplexityRatio).toBeCloseTo(row.perplexityRatio!, 5);
  });
});

describe('the base model', () => {
  it('differs in nothing from itself', async () => {
    const { model, tokenizer, edits, heldOut } = bundled;
    const edited = await HookableModel.compile(model, { layers: [], gate: 'none' });
    const base = await evaluateVersion({ edited, tokenizer, hooks: [] }, edits.slice(0, 3), heldOut);
    await edited.dispose();
    expect(base.answers).toEqual(base.baseAnswers);
    expect(base.baseAnswers).toEqual(evaluation.baseAnswers);
    expect(base.summary).toMatchObject({ reliability: 0, locality: 1, sameSubjectLocality: 1 });
    expect(base.drift).toMatchObject({ perplexityRatio: 1, klToBase: 0, swapRate: 0 });
    expect(base.drift!.basePerplexity).toBeCloseTo(evaluation.drift!.basePerplexity, 3);
  });
});
