import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import type { Edit } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import type { SolverChoice } from '../../linalg/index.js';
import type { StudyGrid, StudyResult } from '../../rounds/index.js';
import { readEditFiles } from '../options/batch-options.js';
import { heldOutOption } from '../options/held-out.js';
import {
  finiteNumber,
  type ModelOptions,
  memoryBudgetBytes,
  modelOptions,
  solverOption,
  solverRequest,
  wholeNumber,
} from '../options/model-options.js';
import { givenSettings, type SettingOptions, settingOptions } from '../options/setting-options.js';
import { ratioAsText } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import type { StageProgress } from '../terminal/stage-progress.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

interface StudyOptions extends ModelOptions, SettingOptions {
  readonly edits: number;
  readonly offset?: number;
  readonly splits: readonly number[];
  readonly weights?: readonly number[];
  readonly history: StudyGrid['histories'];
  readonly gate: StudyGrid['gates'];
  readonly measure?: number;
  readonly corpus?: string;
  readonly maxTokens?: number;
  readonly heldOut?: string;
  readonly report: string;
  readonly solver: SolverChoice;
}

/** Tokens of held-out text that each cell is measured on. */
const heldOutTokens = 4096;

const histories: StudyGrid['histories'] = ['kept', 'forgotten'];
const gates: StudyGrid['gates'] = ['none', 'nearest', 'key'];

/** `hookline study`: the same edits in different numbers of consecutive rounds. */
export function studyCommand(): Command {
  const command = new Command('study')
    .description('Write the same edits in different numbers of rounds, and measure what is left of them after the last')
    .argument('<files...>', 'edits: our JSONL, CounterFact, zsRE and the like')
    .action(studyModel);
  addOptions(command, [
    ...modelOptions(),
    solverOption(),
    new Option('--corpus <file>', 'text for the key statistics; needed once per model and layer'),
    new Option('--max-tokens <n>', 'tokens to read of the corpus (default: 200000)').argParser(
      wholeNumber('--max-tokens', { min: 1 }),
    ),
    heldOutOption(),
    new Option('--edits <n>', 'take the first n edits of each file')
      .argParser(wholeNumber('--edits', { min: 1 }))
      .default(64),
    new Option('--offset <n>', 'skip the first n records of each file').argParser(wholeNumber('--offset')),
    new Option('--splits <list>', 'numbers of rounds: 4 is four rounds of a quarter of the edits each')
      .argParser(listOf(wholeNumber('--splits', { min: 1 })))
      .default([1, 4, 16], '1,4,16'),
    new Option(
      '--weights <list>',
      'values of momentWeight, lambda / dInner; 0 is the equality-constrained solve, EMMET (default: 0 and the own one)',
    ).argParser(listOf(finiteNumber('--weights', { min: 0 }))),
    new Option('--history <list>', 'whether a solve knows the keys of earlier rounds: kept, forgotten')
      .argParser(listOf(oneOf('--history', histories)))
      .default(['kept', 'forgotten'], 'kept,forgotten'),
    new Option('--gate <list>', 'gates to measure behind: none, nearest, key')
      .argParser(listOf(oneOf('--gate', gates)))
      .default(['none', 'nearest'], 'none,nearest'),
    new Option('--measure <n>', 'measure at most n of the edits, evenly spread (default: all)').argParser(
      wholeNumber('--measure', { min: 1 }),
    ),
    new Option('--report <file>', 'where to write the report').default('study.html'),
    ...settingOptions(),
  ]);
  return addExamples(command, [
    'hookline study counterfact.json --edits 64 --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt --held-out news.txt',
    'hookline study edits.jsonl --edits 32 --splits 1,2,8,32 --weights 0,0.02,0.5 --gate none --model ./my-model',
    'hookline study edits.jsonl --edits 256 --measure 64 --set steps=40 chatContexts=false keptTokens=0 --model ./my-model',
  ]);
}

const listOf =
  <T>(parse: (text: string) => T) =>
  (text: string): T[] => [...new Set(text.split(',').map((part) => parse(part.trim())))];

/** Makes a parser of a word. @param what the name of the option in error messages */
const oneOf =
  <Word extends string>(what: string, words: readonly Word[]) =>
  (text: string): Word => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new InvalidInputError(what, `some of ${words.join(', ')}`, JSON.stringify(text));
  };

async function studyModel(paths: readonly string[], options: StudyOptions): Promise<void> {
  const terminal = createTerminal(options);
  const { stageProgress } = await import('../terminal/stage-progress.js');
  if (!existsSync(dirname(options.report))) {
    throw new InvalidInputError('--report', 'a file in an existing folder', options.report);
  }
  const { edits: limit, offset, model } = options;
  const { files, rejected } = await readEditFiles(
    paths,
    { limit, model, ...(offset !== undefined && { offset }) },
    terminal,
  );
  const progress = stageProgress(terminal);
  const { report, ...result } = await runStudy(files.flat(), options, progress);
  progress.finish();
  await writeFile(options.report, report);
  terminal.json({ ...result, report: options.report, rejected });
  await printCells(terminal, result);
  terminal.print(`report: ${options.report}`);
}

async function runStudy(edits: readonly Edit[], options: StudyOptions, listener: StageProgress): Promise<StudyResult> {
  const { defaultMemoryBudgetBytes } = await import('../../editing/index.js');
  const { openModel } = await import('../../model/index.js');
  const { heldOutSequences, study } = await import('../../rounds/index.js');
  const { openStore } = await import('../../registry/index.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { resolveModelId } = await import('../options/open-versions.js');
  const { corpus, maxTokens, splits, weights, history, gate, measure } = options;
  const store = openStore(options.store);
  const { model, tokenizer } = await openModel(options.model);
  return study(
    {
      store,
      modelId: await resolveModelId(store, options),
      model,
      tokenizer,
      edits,
      splits,
      weights,
      histories: history,
      gates: gate,
      measured: measure,
      ...(corpus !== undefined && { corpusPath: corpus }),
      ...(maxTokens !== undefined && { maxTokens }),
      heldOut: await heldOutSequences(options.heldOut, { model, tokenizer }, heldOutTokens),
      settings: await givenSettings(options),
      device: await resolveDevice(options.device, listener),
      solver: solverRequest(options),
      memoryBudgetBytes: memoryBudgetBytes(options) ?? defaultMemoryBudgetBytes,
    },
    listener,
  );
}

const head = [
  ...['gate', 'earlier rounds', 'rounds x edits', 'lambda / D'],
  ...['reliability', 'generality', 'locality', 'same subject', 'score', 'perplexity', 'first round', 'last round'],
  'seconds',
];

async function printCells(terminal: Terminal, { cells, edits }: Omit<StudyResult, 'report'>): Promise<void> {
  const { splitText, weightText } = await import('../../evaluation/index.js');
  terminal.print();
  terminal.table(
    head,
    cells.map((cell) => [
      cell.gate,
      cell.rounds === 1 ? '' : cell.history,
      splitText(cell.rounds, edits),
      weightText(cell.momentWeight),
      ratioAsText(cell.reliability),
      ratioAsText(cell.generality),
      ratioAsText(cell.locality),
      ratioAsText(cell.sameSubjectLocality),
      ratioAsText(cell.score),
      perplexityText(cell.perplexityRatio),
      ratioAsText(cell.firstRound.reliability),
      ratioAsText(cell.lastRound.reliability),
      cell.seconds.toFixed(1),
    ]),
  );
  terminal.print();
}

/** A destroyed model's perplexity has too many digits. */
const perplexityText = (value: number | null): string | undefined => {
  if (value === null) return undefined;
  return `x${value < 1000 ? value.toFixed(3) : value.toExponential(1)}`;
};
