import {
  type EditState,
  emptyState,
  encodeHookFile,
  KeyCollection,
  keyRows,
  rowTargets,
  segmentStorage,
  type TokenizedSubject,
  ValueSearch,
  writeRound,
} from '../../src/editing/index.js';
import type { SubjectRows } from '../../src/editing/key-rows.js';
import type { SubjectText } from '../../src/editing/names.js';
import type { SubjectForm, TaughtText } from '../../src/editing/prompts.js';
import { type Matrix, matrix } from '../../src/linalg/index.js';
import { OnnxGemmEngine } from '../../src/runtime/index.js';
import { median, nowSeconds, secondsOf } from './clock.js';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { emptyHooks, plainStatistics } from './hooks.js';
import { normal, uniform } from './random.js';

const roundCount = 30;
const editsPerRound = 10;
/** How many rounds at either end are compared. */
const compared = 5;

/** How the targets of a round's rows come about. */
type TargetSource = (subjects: readonly TokenizedSubject[], rows: SubjectRows) => Promise<Matrix>;

/** Whether round k costs what round 1 costs, in time and in what is shipped: {@link roundCount} consecutive rounds. */
export async function measureRounds(context: BenchContext): Promise<Measurement> {
  const { model, quick } = context;
  const { dModel } = model.config;
  const next = normal(1);
  const given: TargetSource = async (_subjects, { rows }) =>
    matrix(dModel, rows.length, Float64Array.from({ length: dModel * rows.length }, next));
  const figures = [...(await consecutive(context, 'write', given, 4))];
  // The whole round on a model that is small enough for it to be over soon.
  if (!quick && model.config.layers * dModel < 5000) figures.push(...(await searchedRounds(context)));
  return { name: 'rounds', note: `${roundCount} rounds of ${editsPerRound} edits`, figures };
}

async function searchedRounds(context: BenchContext): Promise<Figure[]> {
  const settings = { ...context.settings, stopLoss: 0 };
  const search = await ValueSearch.compile(context.model, settings);
  const sought: TargetSource = async (subjects, rows) => {
    const found = await search.search(subjects);
    return rowTargets(
      rows,
      found.map(({ delta }) => delta),
    );
  };
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
  const perRound = (k: number) => distinctSubjects(context, k);
  const hooks = emptyHooks(model, settings);
  const empty = emptyState(model.config, settings);
  const write = async (state: EditState, subjects: readonly TokenizedSubject[]) => {
    const gathered = await keyRows(round, subjects, hooks);
    const targets = await targetsOf(subjects, gathered);
    const prompts = subjects.map(({ facts: [{ texts }] }) => promptOf(texts[0]));
    const written = await writeRound(round, state, { rows: gathered.rows, targets, prompts });
    return { state: written.state, bytes: encodeHookFile({ segment: written.segment, sketches: [] }).length };
  };
  await write(empty, perRound(0));
  let state = empty;
  const [seconds, growth, bytes]: [number[], number[], number[]] = [[], [], []];
  for (let k = 0; k < roundCount; k++) {
    const subjects = perRound(k);
    // Beside each of the last rounds the same one on no history, so that both meet the machine in one mood.
    for (let turn = 0; turn < (k < roundCount - compared ? 0 : turns); turn++) {
      const onNothing = await secondsOf(() => write(empty, subjects));
      growth.push((await secondsOf(() => write(state, subjects))) / onNothing);
    }
    const start = nowSeconds();
    const written = await write(state, subjects);
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

const promptOf = ({ tokenIds, lookups, promptTokens }: TaughtText) => ({
  tokenIds: tokenIds.slice(0, promptTokens),
  lookupIndex: lookups[0],
});

/** The context's subjects, the last tokens of their names replaced so that no two rounds write the same keys. */
function distinctSubjects({ subjects, model }: BenchContext, round: number): TokenizedSubject[] {
  const next = uniform(round);
  const { vocab } = model.config;
  return Array.from({ length: editsPerRound }, (_, e) => {
    const subject = subjects[e % subjects.length];
    const [last, before] = [Math.floor(next() * vocab), Math.floor(next() * vocab)];
    const renamed = <T extends SubjectText>(text: T): T => ({
      ...text,
      tokenIds: text.tokenIds.map((id, i) => ({ 0: last, 1: before })[text.lookups[0] - i] ?? id),
    });
    const form = ({ tokenIds }: SubjectForm) => renamed({ tokenIds, lookups: [tokenIds.length - 1] });
    return {
      id: `${round}-${e}`,
      facts: subject.facts.map((fact) => ({ ...fact, texts: fact.texts.map(renamed) })),
      essence: renamed(subject.essence),
      kept: subject.kept.map(renamed),
      forms: subject.forms.map(form),
    };
  });
}
