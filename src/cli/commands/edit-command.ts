import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import type { Edit } from '../../editing/index.js';
import type { SolverChoice } from '../../linalg/index.js';
import type { RoundOutcome } from '../../rounds/index.js';
import { type BatchOptions, batchOptions } from '../options/batch-options.js';
import { heldOutOption } from '../options/held-out.js';
import {
  type ModelOptions,
  memoryBudgetBytes,
  modelOptions,
  solverOption,
  solverRequest,
  wholeNumber,
} from '../options/model-options.js';
import { type SettingOptions, settingOptions } from '../options/setting-options.js';
import { printRounds, publishedRoundOf } from '../tables/round-tables.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal } from '../terminal/terminal.js';

/** The options of `hookline edit`. */
export interface EditOptions extends ModelOptions, SettingOptions, BatchOptions {
  readonly solver: SolverChoice;
  readonly corpus?: string;
  readonly heldOut?: string;
  readonly roundSize?: number;
  readonly compareGates: boolean;
}

/** `hookline edit`: one or more consecutive rounds on top of the latest version. */
export function editCommand(): Command {
  const command = new Command('edit')
    .description('Write batches of edits as consecutive rounds, measure each, and publish a version per round')
    .argument('<files...>', 'edits: our JSONL, CounterFact or zsRE; each file is a round of its own')
    .action(edit);
  addOptions(command, [
    ...modelOptions(),
    solverOption(),
    new Option('--corpus <file>', 'text for key statistics; needed once per model and layer'),
    heldOutOption(),
    new Option('--round-size <n>', 'cut each file into rounds of at most n edits').argParser(
      wholeNumber('--round-size', { min: 1 }),
    ),
    ...batchOptions(),
    ...settingOptions(),
    new Option('--no-compare-gates', 'do not measure the other gates after the last round'),
  ]);
  return addExamples(command, [
    'hookline edit edits.jsonl --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt',
    'hookline edit counterfact.json --limit 100 --round-size 20 --model ./SmolLM2-135M-Instruct --held-out news.txt',
    'hookline edit edits.jsonl --model ./my-model --set layers=[2] --set steps=40 --json',
  ]);
}

/** Edits as the command line asks for it. */
export async function edit(paths: readonly string[], options: EditOptions): Promise<void> {
  const terminal = createTerminal(options);
  const { editRounds, heldOutSequences, openEditSession } = await import('../../rounds/index.js');
  const { openStore } = await import('../../registry/index.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { readEditFiles } = await import('../options/batch-options.js');
  const { givenSettings } = await import('../options/setting-options.js');
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const { statedModelId } = await import('../options/open-versions.js');
  const { defaultMemoryBudgetBytes } = await import('../../editing/index.js');

  const { files, rejected } = await readEditFiles(paths, options, terminal);
  const batches = files.flatMap((edits) => inRounds(edits, options.roundSize));
  const store = openStore(options.store);
  const modelId = statedModelId(options)!;
  const progress = stageProgress(terminal);
  const session = await openEditSession(
    {
      store,
      modelId,
      modelDirectory: options.model,
      settings: await givenSettings(options),
      ...(options.corpus !== undefined && { corpusPath: options.corpus }),
      device: await resolveDevice(options.device, { onNotice: progress.onNotice }),
      solver: solverRequest(options),
      memoryBudgetBytes: memoryBudgetBytes(options) ?? defaultMemoryBudgetBytes,
    },
    progress,
  );
  const { bench, modelDigest, statisticsDigests, base } = session;
  const outcomes: RoundOutcome[] = [];
  try {
    const rounds = editRounds(
      bench,
      {
        store,
        modelId,
        modelName: modelId,
        modelDigest,
        statisticsDigests,
        base,
        batches,
        rejected,
        heldOut: await heldOutSequences(options.heldOut, bench),
        compareGates: options.compareGates,
        publishedBy: `hookline edit ${randomUUID()}`,
      },
      progress,
    );
    for await (const outcome of rounds) {
      progress.finish();
      outcomes.push(outcome);
      terminal.note(`version ${outcome.version} published (round ${outcomes.length} of ${batches.length})`);
    }
  } finally {
    progress.finish();
    await bench.dispose();
  }
  terminal.json({
    modelId,
    versions: outcomes.map(({ manifest }) => ({ version: manifest.version, metrics: manifest.metrics })),
    rejected,
  });
  printRounds(terminal, outcomes.map(publishedRoundOf), { store: options.store, modelId });
}

function inRounds(edits: readonly Edit[], size = edits.length): Edit[][] {
  const rounds: Edit[][] = [];
  for (let start = 0; start < edits.length; start += size) rounds.push(edits.slice(start, start + size));
  return rounds;
}
