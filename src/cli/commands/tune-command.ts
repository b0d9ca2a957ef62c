import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import type { Edit } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import type { SolverChoice } from '../../linalg/index.js';
import type { Trial, TuneResult } from '../../rounds/index.js';
import { type BatchOptions, batchOptions, readEditFiles } from '../options/batch-options.js';
import { heldOutOption } from '../options/held-out.js';
import {
  finiteNumber,
  layersOption,
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
import { type Cell, createTerminal, type Terminal } from '../terminal/terminal.js';

interface TuneOptions extends ModelOptions, BatchOptions, SettingOptions {
  readonly corpus?: string;
  readonly heldOut?: string;
  readonly maxTokens?: number;
  readonly layers?: readonly number[];
  readonly output: string;
  readonly budgetMinutes: number;
  readonly solver: SolverChoice;
}

/** Tokens of held-out text that each trial is measured on. So few suffice, as tuning needs only a rough drift. */
const heldOutTokens = 2048;

/** `hookline tune`: searches for hyperparameters that suit a model, using edits that the user gives. */
export function tuneCommand(): Command {
  const command = new Command('tune')
    .description(
      'Search the layer and the settings that suit a model, on some edits of yours, and write them as a preset',
    )
    .argument('<files...>', 'edits to try: our JSONL, CounterFact or zsRE')
    .action(tuneModel);
  const [limit, offset] = batchOptions();
  addOptions(command, [
    ...modelOptions(),
    solverOption(),
    new Option(
      '--corpus <file>',
      'text for the key statistics (the covariance of keys); needed once per model and layer',
    ),
    new Option('--max-tokens <n>', 'tokens to read of the corpus (default: 200000)').argParser(
      wholeNumber('--max-tokens', { min: 1 }),
    ),
    heldOutOption(),
    limit.default(24),
    offset,
    layersOption('single layers to try (default: up to 8 spread over the first 40 % of the depth)'),
    new Option('--output <file>', 'where to write the preset').default('hookline.json'),
    new Option('--budget-minutes <m>', 'end with the best so far about then')
      .default(30)
      .argParser(finiteNumber('--budget-minutes', { min: 0 })),
    ...settingOptions(),
  ]);
  return addExamples(command, [
    'hookline tune edits.jsonl --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt --held-out news.txt',
    'hookline tune counterfact.json --limit 12 --layers 1,2,3,5 --budget-minutes 10 --model ./my-model --corpus wikipedia.txt',
    'hookline tune edits.jsonl --model ./my-model --set keepFactor=4 --output ./my-model/hookline.json',
  ]);
}

async function tuneModel(paths: readonly string[], options: TuneOptions): Promise<void> {
  const terminal = createTerminal(options);
  const { stageProgress } = await import('../terminal/stage-progress.js');
  requireFolder(options.output);
  const { files, rejected } = await readEditFiles(paths, options, terminal);
  const progress = stageProgress(terminal);
  const result = await search(files.flat(), options, progress);
  progress.finish();
  await writeFile(options.output, `${JSON.stringify(result.preset, null, 2)}\n`);
  terminal.json({ ...result, output: options.output, rejected });
  printTrials(terminal, result);
  printUse(terminal, result, options);
}

async function search(edits: readonly Edit[], options: TuneOptions, listener: StageProgress): Promise<TuneResult> {
  const { defaultMemoryBudgetBytes } = await import('../../editing/index.js');
  const { openModel } = await import('../../model/index.js');
  const { heldOutSequences, tune } = await import('../../rounds/index.js');
  const { openStore } = await import('../../registry/index.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { resolveModelId } = await import('../options/open-versions.js');
  const { corpus, maxTokens, layers } = options;
  const store = openStore(options.store);
  const { model, tokenizer } = await openModel(options.model);
  const heldOut = await heldOutSequences(options.heldOut, { model, tokenizer }, heldOutTokens);
  const request = {
    store,
    modelId: await resolveModelId(store, options),
    model,
    tokenizer,
    edits,
    heldOut,
    ...(corpus !== undefined && { corpusPath: corpus }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(layers !== undefined && { layers }),
    settings: await givenSettings(options),
    budgetSeconds: 60 * options.budgetMinutes,
    device: await resolveDevice(options.device, listener),
    solver: solverRequest(options),
    memoryBudgetBytes: memoryBudgetBytes(options) ?? defaultMemoryBudgetBytes,
  };
  return tune(request, listener);
}

/** Checks the output folder before the search, which can take hours. */
function requireFolder(path: string): void {
  if (existsSync(dirname(path))) return;
  throw new InvalidInputError('--output', 'a file in an existing folder', path);
}

const trialHead = [
  ...['trial', 'layers', 'learning rate', 'moment weight', 'threshold', 'steps'],
  ...['reliability', 'generality', 'locality', 'same subject', 'said', 'perplexity', 'objective', 'seconds', ''],
];

function printTrials(terminal: Terminal, { trials, best, isComplete }: TuneResult): void {
  terminal.print();
  terminal.table(
    trialHead,
    trials.map((trial, i) => trialRow(trial, i, trial === best)),
  );
  terminal.print();
  if (!isComplete) terminal.print('The time was up before everything was tried: this is the best so far.');
}

function trialRow({ settings, metrics, objective, seconds }: Trial, index: number, isBest: boolean): Cell[] {
  return [
    index + 1,
    settings.layers.join('+'),
    settings.learningRate,
    settings.momentWeight,
    settings.similarityThreshold,
    settings.steps,
    ratioAsText(metrics.reliability),
    ratioAsText(metrics.generality),
    ratioAsText(metrics.locality),
    ratioAsText(metrics.sameSubjectLocality),
    ratioAsText(metrics.said),
    ratioAsText(metrics.perplexityRatio),
    ratioAsText(objective),
    seconds.toFixed(1),
    isBest ? '<- best' : ' ',
  ];
}

function printUse(terminal: Terminal, { preset, best }: TuneResult, { output, model }: TuneOptions): void {
  terminal.print(`best: objective ${ratioAsText(best.objective)} with ${JSON.stringify(preset)}`);
  terminal.print(`written to ${output}; use it with  --preset ${output}`);
  const beside = join(model, 'hookline.json');
  if (output !== beside) terminal.print(`or for every later call with  cp ${output} ${beside}`);
}
