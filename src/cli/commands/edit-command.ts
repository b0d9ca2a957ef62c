import { Command, Option } from 'commander';
import type { Edit } from '../../editing/index.js';
import { RoundRejectedError } from '../../errors.js';
import type { RejectedLine } from '../../evaluation/index.js';
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
import { createTerminal, type Terminal } from '../terminal/terminal.js';

/** The options of `hookline edit`. */
interface EditOptions extends ModelOptions, SettingOptions, BatchOptions {
  readonly solver: SolverChoice;
  readonly corpus?: string;
  readonly heldOut?: string;
  readonly roundSize?: number;
  readonly compareGates?: boolean;
  /** Whether the criteria decide on publication. */
  readonly judge: boolean;
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
    new Option('--compare-gates', 'measure the other kinds of gate too, for the report of the last round'),
    new Option(
      '--no-judge',
      'publish whatever comes out; an edit that does not hold counts against the retention of later rounds',
    ),
  ]);
  return addExamples(command, [
    'hookline edit edits.jsonl --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt',
    'hookline edit counterfact.json --limit 100 --round-size 20 --model ./SmolLM2-135M-Instruct --held-out news.txt',
    'hookline edit edits.jsonl --model ./my-model --set layers=[2] --set steps=40 --json',
  ]);
}

async function edit(paths: readonly string[], options: EditOptions): Promise<void> {
  const terminal = createTerminal(options);
  const { openEditSession } = await import('../../rounds/index.js');
  const { openStore } = await import('../../registry/index.js');
  const { findRegistration } = await import('../../workflow/index.js');
  const { resolveModelId } = await import('../options/open-versions.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { readEditFiles } = await import('../options/batch-options.js');
  const { givenSettings } = await import('../options/setting-options.js');
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const { files, rejected } = await readEditFiles(paths, options, terminal);
  const batches = files.flatMap((edits) => inRounds(edits, options.roundSize));
  const progress = stageProgress(terminal);
  const { corpus: corpusPath, heldOut } = options;
  const budgetBytes = memoryBudgetBytes(options);
  const store = openStore(options.store);
  const modelId = await resolveModelId(store, options);
  const registration = await findRegistration(store, modelId);
  const session = await openEditSession(
    {
      store,
      modelId,
      modelDirectory: options.model,
      settings: await givenSettings(options),
      device: await resolveDevice(options.device, { onNotice: progress.onNotice }),
      solver: solverRequest(options),
      ...(corpusPath !== undefined && { corpusPath }),
      ...(heldOut !== undefined && { heldOut }),
      ...(budgetBytes !== undefined && { memoryBudgetBytes: budgetBytes }),
      criteria: options.judge ? (registration?.criteria ?? {}) : null,
    },
    progress,
  );
  const outcomes: RoundOutcome[] = [];
  let failure: unknown;
  try {
    const { compareGates = false } = options;
    for await (const outcome of session.edit(batches, { rejected, compareGates }, progress)) {
      progress.finish();
      outcomes.push(outcome);
      terminal.note(endText(outcome, `round ${outcomes.length} of ${batches.length}`));
    }
  } catch (error) {
    // Rounds that were published before the failure are still reported below.
    failure = error;
  } finally {
    progress.finish();
    await session.close();
  }
  if (failure === undefined || outcomes.length > 0) {
    report(terminal, outcomes, { options, modelId: session.modelId, rejected });
  }
  failure ??= rejectionOf(session.modelId, outcomes);
  if (failure !== undefined) throw failure;
}

function rejectionOf(modelId: string, outcomes: readonly RoundOutcome[]): RoundRejectedError | undefined {
  const rejected = outcomes.find(({ outcome }) => outcome === 'rejected');
  return rejected && new RoundRejectedError(modelId, rejected.reason);
}

function endText({ outcome, version, reason }: RoundOutcome, which: string): string {
  return outcome === 'published' ? `version ${version} published (${which})` : `${which} rejected: ${reason}`;
}

/** Reports the outcome of the rounds. */
function report(
  terminal: Terminal,
  outcomes: readonly RoundOutcome[],
  {
    options,
    modelId,
    rejected,
  }: { readonly options: EditOptions; readonly modelId: string; readonly rejected: readonly RejectedLine[] },
): void {
  const published = outcomes.filter(({ outcome }) => outcome === 'published');
  terminal.json({
    modelId,
    versions: published.map(({ version, manifest }) => ({ version, metrics: manifest!.metrics })),
    rejected,
    rounds: outcomes.map(({ outcome, version, reason, rejectedEdits, renamed, reportKey }) => ({
      outcome,
      version,
      reason,
      rejectedEdits,
      renamed,
      reportKey,
    })),
  });
  printRounds(terminal, published.map(publishedRoundOf), { store: options.store, modelId });
  const failed = outcomes.filter(({ outcome }) => outcome === 'rejected');
  for (const { reportKey } of failed) terminal.print(`report of the rejected round: ${options.store}/${reportKey}`);
}

function inRounds(edits: readonly Edit[], size = edits.length): Edit[][] {
  const rounds: Edit[][] = [];
  for (let start = 0; start < edits.length; start += size) rounds.push(edits.slice(start, start + size));
  return rounds;
}
