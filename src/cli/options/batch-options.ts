import { join } from 'node:path';
import { Option } from 'commander';
import type { Edit } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import type { RejectedLine } from '../../evaluation/index.js';
import type { Terminal } from '../terminal/terminal.js';
import { wholeNumber } from './model-options.js';

/** The options that select records of each file. */
export interface BatchOptions {
  readonly limit?: number;
  readonly offset?: number;
}

/** `--limit` and `--offset`. */
export const batchOptions = (): Option[] => [
  new Option('--limit <n>', 'take at most n records of each file').argParser(wholeNumber('--limit', { min: 1 })),
  new Option('--offset <n>', 'skip the first n records of each file').argParser(wholeNumber('--offset')),
];

/** The edits of several files, one list per file. */
export interface ReadFiles {
  readonly files: readonly (readonly Edit[])[];
  readonly rejected: readonly RejectedLine[];
}

/**
 * Reads edits from files of any known format, and reports every rejected line, also of edits that the model cannot take.
 *
 * @throws {InvalidInputError} if a file holds no acceptable edit
 */
export async function readEditFiles(
  paths: readonly string[],
  { limit, offset, model }: BatchOptions & { readonly model: string },
  terminal: Terminal,
): Promise<ReadFiles> {
  const { readBatch } = await import('../../evaluation/index.js');
  const { loadTokenizer, readModelConfig } = await import('../../model/index.js');
  const { unfitness } = await import('../../rounds/index.js');
  const { config } = await readModelConfig(join(model, 'config.json'));
  const tokenizer = await loadTokenizer(model);
  const files: (readonly Edit[])[] = [];
  const rejected: RejectedLine[] = [];
  for (const path of paths) {
    const part = { ...(limit !== undefined && { limit }), ...(offset !== undefined && { offset }) };
    const reading = await readBatch(path, part, (edit) => unfitness(tokenizer, config, edit));
    for (const { lineNumber, reason } of reading.rejected) terminal.warn(`${path}, line ${lineNumber}: ${reason}`);
    if (reading.edits.length === 0) {
      throw new InvalidInputError(path, 'at least one acceptable edit', `none in ${reading.linesRead} lines`);
    }
    files.push(reading.edits);
    rejected.push(...reading.rejected);
  }
  return { files, rejected };
}
