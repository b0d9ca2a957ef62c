import {
  type EditState,
  emptyState,
  encodeHookFile,
  hooksOf,
  KeyCollection,
  type KeyStatistics,
  segmentStorage,
  targetMatrix,
  ValueSearch,
  writeRound,
} from '../../src/editing/index.js';
import type { TokenizedEdit } from '../../src/editing/prompts.js';
import { type Matrix, matrix } from '../../src/linalg/index.js';
import { OnnxGemmEngine } from '../../src/runtime/index.js';
import { median, nowSeconds, secondsOf } from './clock.js';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { plainStatistics } from './hooks.js';
import { normal, uniform } from './random.js';

const roundCount = 30;
const editsPerRound = 10;
/** How many rounds at either end are compared. */
const compared = 5;

/** How value targets of a round come about. */
type TargetSource = (
  state: EditState,
  statistics: readonly KeyStatistics[],
  edits: readonly TokenizedEdit[],
) => Promise<Matrix>;

/** Whether round k costs what round 1 costs, in time and in what is shipped: {@link roundCount} consecutive rounds. */
export async function measureRounds(context: BenchContext): Promise<Measurement> {
  const { model, quick } = context;
  const { dModel } = model.config;
  const next = normal(1);
  const given: TargetSource = async (_state, _statistics, edits) =>
    matrix(dModel, edits.length, Float64Array.from({ length: dModel * edits.length }, next));
  const figures = [...(await consecutive(context, 'write', given, 4))];
  // The whole round on a model that is small enough for it to be over soon.
  if (!quick && model.config.layers * dModel < 5000) figures.push(...(await searchedRounds(context)));
  return { name: 'rounds', note: `${roundCount} rounds of ${editsPerRound} edits`, figures };
}

async function searchedRounds(context: BenchContext): Promise<Figure[]> {
  const { model } = context;
  const settings = { ...context.settings, stopLoss: 0 };
  const search = await ValueSearch.compile(model, settings);
  const sought: TargetSource = async (state, statistics, edits) =>
    targetMatrix(await search.search(edits, hooksOf(state, statistics)), model.config.dModel);
  const figures = await consecutive(context, 'search and write', sought, 1);
  await search.dispose();
  return figures;
}

/** @param turns how often each of the last rounds is written, in turn with the same round on no history */
async function consecutive(
  context: BenchContext,
  what: string,
  targetsOf: TargetSource,
  turns: number,
): Promise<Figure[]> {
  const { model, settings } = context;
  const collection = await KeyCollection.compile(model, settings);
  const engine = new OnnxGemmEngine();
  const statistics = await plainStatistics(model, settings, 1);
  const storage = segmentStorage(model.config.dInner, model.config.dModel);
  const round = { settings, collection, statistics, engine, rowsPerBatch: 2048, storage };
  const perRound = (k: number) => distinctEdits(context, k);
  const empty = emptyState(model.config, settings);
  const write = async (state: EditState, edits: readonly TokenizedEdit[]) => {
    const written = await writeRound(round, state, edits, await targetsOf(state, statistics, edits));
    return { state: written.state, bytes: encodeHookFile({ segment: written.segment, sketches: [] }).length };
  };
  await write(empty, perRound(0));
  let state = empty;
  const [seconds, growth, bytes]: [number[], number[], number[]] = [[], [], []];
  for (let k = 0; k < roundCount; k++) {
    const edits = perRound(k);
    // Beside each of the last rounds the same one on no history, so that both meet the machine in one mood.
    for (let turn = 0; turn < (k < roundCount - compared ? 0 : turns); turn++) {
      const onNothing = await secondsOf(() => write(empty, edits));
      growth.push((await secondsOf(() => write(state, edits))) / onNothing);
    }
    const start = nowSeconds();
    const written = await write(state, edits);
    seconds.push(nowSeconds() - start);
    bytes.push(written.bytes);
    state = written.state;
  }
  await collection.dispose();
  await engine.dispose();
  const [first, last] = [seconds.slice(0, compared), seconds.slice(-compared)];
  return [
    figure(`${what}: rounds 1 to ${compared}, median`, median(first), 's'),
    figure(`${what}: rounds ${roundCount + 1 - compared} to ${roundCount}, median`, median(last), 's'),
    figure(`${what}: last / first`, median(last) / median(first), 'x'),
    figure(`${what}: last / the same as first rounds, in turns, median`, median(growth), 'x', { atMost: 1.15 }),
    figure(`${what}: bytes shipped by round 1, as a file`, bytes[0], 'B'),
    figure(`${what}: bytes shipped by round ${roundCount}, as a file`, bytes[roundCount - 1], 'B'),
    figure(`${what}: bytes, last / first`, bytes[roundCount - 1] / bytes[0], 'x', { atMost: 1.15 }),
  ];
}

/** The context's edits, their subjects' tokens replaced so that no two rounds write the same keys. */
function distinctEdits({ edits, model }: BenchContext, round: number): TokenizedEdit[] {
  const next = uniform(round);
  const { vocab } = model.config;
  return Array.from({ length: editsPerRound }, (_, e) => {
    const edit = edits[e % edits.length];
    const [first, second] = [Math.floor(next() * vocab), Math.floor(next() * vocab)];
    return {
      ...edit,
      id: `${round}-${e}`,
      prompts: edit.prompts.map((prompt) => ({
        ...prompt,
        tokenIds: prompt.tokenIds.map((id, i) => ({ 0: first, 1: second })[prompt.lookupIndex - i] ?? id),
      })),
    };
  });
}
