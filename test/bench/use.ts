/** @file Edits in use: the situations in which people meet them, each on a model as it is published. */
import { basename, join, resolve } from 'node:path';
import { type ObjectStore, openStore } from '../../src/registry/index.js';
import type { BenchContext } from './context.js';
import type { Figure, Measurement } from './figure.js';
import { type BenchOptions, bundled, root } from './options.js';
import { answerEnds } from './use/answer-ends.js';
import { bystanders } from './use/bystanders.js';
import { factsInChat } from './use/chat.js';
import { cost } from './use/cost.js';
import { subjectForms } from './use/forms.js';
import { joins } from './use/joins.js';
import { manyRounds } from './use/many-rounds.js';
import { oracle } from './use/oracle.js';
import { otherQuestions } from './use/other-questions.js';
import { paraphrases } from './use/paraphrases.js';
import { fullCounts, quickCounts, type RecordCounts, withCounts } from './use/records.js';
import { RealRoom, type Situation } from './use/room.js';
import { severalRealFacts, severalWorldFacts } from './use/several-facts.js';
import { Workshop } from './use/workshop.js';

/** Situations on a real model, in the order in which they are measured. */
const realRows = {
  facts: ({ workshop, counts }: RealRoom) => severalRealFacts(workshop, counts),
  forms: ({ workshop, counts }: RealRoom) => subjectForms(workshop, counts),
  chat: factsInChat,
  questions: otherQuestions,
  ends: answerEnds,
  paraphrases,
  bystanders,
  joins: ({ workshop }: RealRoom) => joins(workshop),
  cost,
  rounds: manyRounds,
  oracle,
} as const satisfies Record<string, (room: RealRoom) => Promise<Situation>>;

/** Names that `--rows` takes: `world` is of the bundled model. */
const useRows: readonly string[] = ['world', ...Object.keys(realRows)];

const say = (text: string): void => void process.stderr.write(`use: ${text}\n`);

/**
 * The situations of use, as far as there is a model and data for them: the bundled model always, a real one with `--model`
 * and `--datasets`.
 */
export async function measureUse({ options, quick }: BenchContext): Promise<Measurement> {
  const chosen = chosenRows(options);
  const counts = withCounts(quick ? quickCounts : fullCounts, options.records);
  const figures: Figure[] = [];
  const notes: string[] = [];
  const take = (situation: Situation) => {
    for (const { what, value } of situation.figures) say(`${what}: ${value.toPrecision(3)}`);
    figures.push(...situation.figures);
    notes.push(...(situation.notes ?? []));
  };
  if (chosen.includes('world')) take(await onBundledModel(options, counts));
  const real = Object.entries(realRows).filter(([name]) => chosen.includes(name));
  if (real.length > 0) {
    const missing = whatIsMissing(options);
    if (missing === undefined) await onRealModel(options, counts, real, take);
    else notes.push(`${real.map(([name]) => name).join(', ')}: skipped, ${missing}`);
  }
  return { name: 'use', figures, note: notes.join('; ') };
}

function chosenRows({ rows }: BenchOptions): readonly string[] {
  const unknown = rows.find((name) => !useRows.includes(name));
  if (unknown !== undefined) throw new Error(`--rows: of ${useRows.join(', ')}, got ${unknown}`);
  return rows.length === 0 ? useRows : rows;
}

const bundledModel = join(bundled, 'model');

const isBundled = (model: string): boolean => resolve(model) === resolve(bundledModel);

/** Where key statistics of a model and its layers outlast a run. */
function statisticsOf(model: string, { layers = 'preset' }: BenchOptions['set']): ObjectStore {
  const name = `${basename(resolve(model))}-${String(layers).replaceAll(',', '-')}`;
  return openStore(join(root, '.bench', 'use', name));
}

function whatIsMissing({ model, datasets }: BenchOptions): string | undefined {
  if (isBundled(model)) return 'no real model (--model)';
  if (datasets === undefined) return 'no folder of data sets (--datasets or HOOKLINE_DATA)';
  return undefined;
}

async function onBundledModel({ model, set }: BenchOptions, counts: RecordCounts): Promise<Situation> {
  // Layers that were given for another model are none of this one's.
  const settings = Object.fromEntries(Object.entries(set).filter(([name]) => name !== 'layers' || isBundled(model)));
  const workshop = await Workshop.open({
    modelDirectory: bundledModel,
    corpus: join(bundled, 'corpus.txt'),
    heldOut: join(bundled, 'heldout.txt'),
    settings,
    statistics: statisticsOf(bundledModel, settings),
    say,
  });
  try {
    const situation = await severalWorldFacts(workshop, counts);
    return { ...situation, notes: [...(situation.notes ?? []), `bundled model: ${workshop.settingsText}`] };
  } finally {
    await workshop.dispose();
  }
}

async function onRealModel(
  { model, datasets, set }: BenchOptions,
  counts: RecordCounts,
  rows: readonly (readonly [string, (room: RealRoom) => Promise<Situation>])[],
  take: (situation: Situation) => void,
): Promise<void> {
  const corpus = join(datasets!, 'wikipedia.txt');
  const workshop = await Workshop.open({
    modelDirectory: model,
    corpus,
    settings: set,
    statistics: statisticsOf(model, set),
    say,
  });
  try {
    const room = new RealRoom(workshop, counts, datasets!);
    for (const [name, measure] of rows) {
      say(name);
      take(await measure(room));
    }
    take({
      figures: [],
      notes: [`${basename(model)}: ${workshop.settingsText}; perplexity on the end of wikipedia.txt`],
    });
  } finally {
    await workshop.dispose();
  }
}
