/** @file A round of a large model that only waits to be published: what its tasks would have left in a store, without them. */
import { resolveHyperparameters } from '../../src/editing/index.js';
import { contentKey, digestOf, latest, type ObjectStore, registrationKey, roundKey } from '../../src/registry/index.js';
import { publishVersion } from '../../src/rounds/publish-version.js';
import { type Judgement, roundPlanSchema, type SolveRecord, type ValidationRecord } from '../../src/rounds/records.js';
import { memoriesIn, subjectsOf } from '../../src/rounds/subjects.js';
import { encodeSafetensors, type Tensor, tensor } from '../../src/tensor/index.js';
import { attemptKey, decisionKey, planKeyOf } from '../../src/workflow/plan/round-files.js';
import { registrationSchema } from '../../src/workflow/registration.js';

/** Sizes of a round, of the versions before it, and of the model. */
export interface LargeRound {
  readonly edits: number;
  readonly versionsBefore: number;
  readonly layers: readonly number[];
  readonly dModel: number;
  readonly dInner: number;
}

const modelId = 'large';
const modelDigest = 'a'.repeat(64);
const settings = ({ layers }: LargeRound) =>
  resolveHyperparameters({ layers: [...layers] }, { layers: 28, dModel: 1536, dInner: 8960 } as never);

const editsOf = (round: number, { edits }: LargeRound) =>
  Array.from({ length: edits }, (_, e) => ({
    id: `round${round}-edit${String(e).padStart(6, '0')}`,
    subject: `The ${e}th institute of round ${round} for applied sciences`,
    prompt: '{} has its seat in the city of',
    targetNew: `Newtown ${e}`,
    targetTrue: `Oldtown ${e}`,
    aliases: [],
    paraphrases: [],
    testParaphrases: [`Visitors of round ${round} travel to`, `The seat of the ${e}th institute is`],
    neighborhood: Array.from({ length: 10 }, (_, n) => `The museum number ${n} beside institute ${e} is in`),
    keep: [],
    portability: [],
  }));

/** Every edit is of a subject of its own, with one row. */
const memoriesFor = (edits: ReturnType<typeof editsOf>) => memoriesIn(subjectsOf({}, edits));

/** The file of a segment with numbers that are all 0, of the size that it would have. */
function hooksOf(addedIds: readonly string[], previous: number, { layers, dInner, dModel }: LargeRound): Uint8Array {
  const n = addedIds.length;
  const eightBit = (name: string, columns: number, numbers = new Int8Array(n * columns)): [string, Tensor][] => [
    [name, tensor('int8', [n, columns], numbers)],
    [`${name}Scales`, tensor('float16', [n, Math.ceil(columns / 64)], new Uint16Array(n * Math.ceil(columns / 64)))],
    [`${name}Units`, tensor('float32', [n], new Float32Array(n))],
  ];
  const tensors = layers.flatMap((l) => [
    ...eightBit(`${l}.whitenedKeys`, dInner),
    ...eightBit(`${l}.targets`, dModel),
    // Every 64th number is held in float32.
    ...eightBit(
      `${l}.cross`,
      previous,
      new Int8Array(n * previous).map((_, i) => (i % 64 === 0 ? -128 : 0)),
    ),
    [`${l}.crossPeaks`, zeros(Math.ceil((n * previous) / 64))] as [string, Tensor],
    [`${l}.gram`, zeros((n * (n + 1)) / 2)] as [string, Tensor],
    [`${l}.thresholds`, zeros(n)] as [string, Tensor],
    [`${l}.sequenceThreshold`, zeros(1)] as [string, Tensor],
  ]);
  const metadata = { format: 'hookline-segment', formatVersion: '2', removedIds: '[]' };
  return encodeSafetensors(tensors, {
    ...metadata,
    addedIds: JSON.stringify(addedIds),
    layers: JSON.stringify(layers),
  });
}

const zeros = (count: number): Tensor => tensor('float32', [count], new Float32Array(count));

const metrics = (measured: number) => ({
  measured,
  reliability: 1,
  generality: 1,
  locality: 1,
  sameSubjectLocality: 1,
  efficacySuccess: 1,
  paraphraseSuccess: 1,
  neighborhoodSuccess: 1,
  score: 1,
  retention: 1,
  said: 1,
  perplexityRatio: 1,
  klToBase: 0,
  swapRate: 0,
  writtenShareMedian: 1,
  secondsForValues: 1,
  secondsForSolve: 1,
});

/** Stores it all. @returns the input of the stage `publish` */
export async function storeLargeRound(store: ObjectStore, round: LargeRound) {
  const { dModel, dInner, layers } = round;
  const put = (key: string, value: unknown) => store.put(key, new TextEncoder().encode(JSON.stringify(value)));
  const registration = registrationSchema.parse({
    schemaVersion: 1,
    modelId,
    modelDigest,
    source: { kind: 'directory', path: '/model' },
    layerCount: 28,
    maxTokens: 32_768,
    dModel,
    dInner,
    corpus: null,
    heldOut: null,
    settings: settings(round),
    statistics: {},
    criteria: {},
  });
  await put(registrationKey(modelId), registration);
  const thresholds = Object.fromEntries(layers.map((layer) => [layer, { smallestSimilarity: null, sequence: 2 }]));
  for (let before = 0; before < round.versionsBefore; before++) {
    const base = await latest(store, modelId);
    await publishVersion({
      store,
      modelId,
      modelDigest,
      dModel,
      dInner,
      settings: settings(round),
      thresholds,
      statisticsDigests: {},
      hooks: new Uint8Array([before]),
      edits: editsOf(before, round),
      memories: memoriesFor(editsOf(before, round)),
      removedIds: [],
      answers: [],
      report: '',
      metrics: metrics(round.edits),
      publishedBy: `before ${before}`,
      base: base && { ref: { version: base.version, etag: base.etag }, manifest: base.manifest },
    });
  }
  const edits = editsOf(round.versionsBefore, round);
  const base = await latest(store, modelId);
  const shards = Array.from({ length: Math.ceil(edits.length / 100) }, (_, s) =>
    edits.flatMap((_, e) => (Math.floor(e / 100) === s ? [e] : [])),
  );
  const plan = roundPlanSchema.parse({
    schemaVersion: 1,
    modelId,
    roundId: '0123456789abcdef',
    modelDigest,
    settings: settings(round),
    edits,
    base: base === undefined ? null : { version: base.version, etag: base.etag },
    statistics: layers.map((layer) => ({ layer, digest: 'b'.repeat(64) })),
    statisticsShards: 1,
    overwrites: [],
    rejected: [],
    valueShards: shards,
    validationShards: shards,
    heldOut: null,
    compareGates: true,
  });
  const planKey = planKeyOf(modelId, plan.roundId, contentKey(plan).slice(0, 16));
  await put(planKey, plan);
  await put(roundKey(modelId, plan.roundId, 'units.json'), ['unit']);
  const editIds = edits.map(({ id }) => id);
  const memoryIds = memoriesFor(edits).map(({ id }) => id);
  const hooks = hooksOf(memoryIds, round.edits * round.versionsBefore, round);
  await store.put(attemptKey(planKey, 0, 'hooks.safetensors'), hooks);
  const each = <T>(value: T) => editIds.map(() => value);
  await put(attemptKey(planKey, 0, 'solve.json'), {
    schemaVersion: 1,
    editIds,
    memories: memoriesFor(edits),
    segmentSha256: digestOf(hooks),
    segmentSizeBytes: hooks.length,
    writtenShare: layers.map(() => each(0.98)),
    valueSteps: each(20),
    valueLosses: each(0.01),
    secondsForValues: 900,
    secondsForSolve: 30,
    thresholds,
    layers: layers.map((layer) => ({ layer, edits: editIds.length, relativeChange: 0.01, writtenShareMedian: 0.98 })),
  } satisfies SolveRecord);
  for (const [s, shard] of shards.entries()) {
    const ids = shard.map((e) => editIds[e]);
    const answers = ids.map((id) => ({ id, text: `Newtown, where ${id} has been for many years`, said: true }));
    await put(attemptKey(planKey, 0, `validation-${s}.json`), {
      schemaVersion: 1,
      measurements: ids.map((id) => ({
        id,
        reliability: 1,
        generality: [1, 1],
        portability: [],
        locality: Array(10).fill(1),
        sameSubjectLocality: [1, 1],
        efficacy: true,
        paraphraseSuccess: [true, true],
        neighborhoodSuccess: Array(10).fill(true),
        nll: 0.01,
      })),
      firedBy: ids,
      before: answers,
      answers,
      drift: null,
      retention: s === 0 ? 1 : null,
      companions: [],
      gates: [],
      separation: {
        edit: ids.map(() => 0.99),
        paraphrase: ids.flatMap(() => [0.9, 0.9]),
        threshold: 0.8,
        neighborhood: ids.flatMap(() => Array(10).fill(0.1)),
        text: s === 0 ? Array(2000).fill(0.05) : [],
      },
    } satisfies ValidationRecord);
  }
  await put(decisionKey(planKey, 0), {
    decision: 'publish',
    reason: '',
    offenders: [],
    criteria: null,
  } satisfies Judgement);
  return { executionId: 'e', modelId, planKey, attempt: 0, action: 'publish' as const, reason: '' };
}
