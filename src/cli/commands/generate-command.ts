import { Command, Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { Firing } from '../../serving/index.js';
import { finiteNumber, type ModelOptions, modelOptions, parseVersion, wholeNumber } from '../options/model-options.js';
import { firedBy } from '../tables/fired-by.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

interface GenerateOptions extends ModelOptions {
  readonly version?: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly explain?: boolean;
}

/** `hookline generate`: runs one prompt on the base model and on the edited model. */
export function generateCommand(): Command {
  const command = new Command('generate')
    .description('Let the base and the edited model go on with a prompt, side by side')
    .argument('<prompt>', 'text to go on with')
    .action(generate);
  addOptions(command, [
    ...modelOptions(),
    new Option('--version <n>', 'the version to ask (default: the latest)').argParser(parseVersion),
    new Option('--max-tokens <n>', 'longest answer').default(24).argParser(wholeNumber('--max-tokens', { min: 1 })),
    new Option('--temperature <t>', '0 takes the most probable token')
      .default(0)
      .argParser(finiteNumber('--temperature', { min: 0 })),
    new Option('--top-k <n>', 'sample of the k most probable tokens').argParser(wholeNumber('--top-k', { min: 1 })),
    new Option('--explain', 'say whose edit opened a gate, where, and how strongly'),
  ]);
  return addExamples(command, [
    'hookline generate "The Eiffel Tower is in" --model ./SmolLM2-135M-Instruct',
    'hookline generate "The Eiffel Tower is in" --model ./SmolLM2-135M-Instruct --version 2 --explain',
  ]);
}

async function generate(prompt: string, options: GenerateOptions): Promise<void> {
  const { firingOf } = await import('../../serving/index.js');
  const { openEditedVersion } = await import('./open-edited-version.js');
  const terminal = createTerminal(options);
  if (prompt === '') throw new InvalidInputError('prompt', 'at least one character', 'an empty text');
  const opened = await openEditedVersion(options, options.version, terminal);
  const { edited, tokenizer, hooks, rowEdits, manifest } = opened;
  try {
    const promptIds = tokenizer.encode(prompt).ids;
    const { maxTokens, temperature, topK, seed } = options;
    const sampling = { temperature, ...(topK !== undefined && { topK }), ...(seed !== undefined && { seed }) };
    const request = { maxTokens, stopIds: tokenizer.eosIds, ...sampling };
    const [base] = await edited.generate([promptIds], request);
    const [changed] = await edited.generate([promptIds], { ...request, hooks });
    const allIds = [...promptIds, ...changed.tokenIds];
    const answer: Answer = {
      prompt,
      version: manifest.version,
      base: tokenizer.decode(base.tokenIds),
      edited: tokenizer.decode(changed.tokenIds),
      firings: changed.firings.map((firing) => firingOf(firing, allIds, tokenizer, rowEdits)),
    };
    printAnswer(terminal, answer, options.explain ?? false);
  } finally {
    await edited.dispose();
  }
}

interface Answer {
  readonly prompt: string;
  readonly version: number;
  readonly base: string;
  readonly edited: string;
  /** Whose edits fired, where and how strongly. */
  readonly firings: readonly Firing[];
}

function printAnswer(terminal: Terminal, answer: Answer, isExplained: boolean): void {
  const { colors } = terminal;
  terminal.json(answer);
  terminal.print(`${colors.bold('base     ')}  ${answer.prompt}${colors.dim(answer.base)}`);
  terminal.print(
    `${colors.bold(`version ${answer.version}`.padEnd(9))}  ${answer.prompt}${colors.green(answer.edited)}`,
  );
  if (!isExplained) return;
  terminal.print();
  if (answer.firings.length === 0) terminal.print('no gate opened: the edited model answered as the base model does');
  else terminal.table(['opened by', 'token', 'position', 'layer', 'strength'], answer.firings.map(firingRow));
}

const firingRow = (firing: Firing) => [
  firedBy(firing),
  JSON.stringify(firing.token),
  firing.tokenIndex,
  firing.layer,
  firing.strength?.toFixed(3),
];
