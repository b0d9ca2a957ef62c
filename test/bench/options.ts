/** @file Options of `npm run bench`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { namedValues } from '../../src/cli/options/setting-options.js';
import { InvalidInputError } from '../../src/errors.js';
import { type SolverChoice, solverChoices } from '../../src/linalg/index.js';
import { pythonWith } from '../support/python.js';
import type { ClockKind } from './clock.js';
import { modelShapes } from './shapes/model-shapes.js';

/** What to measure on what. */
export interface BenchOptions {
  /** Hugging Face directory. */
  readonly model: string;
  readonly layers: readonly number[];
  /** Names of the measurements to make; all if empty. */
  readonly only: readonly string[];
  /** How many edits are sought at once. */
  readonly edits: number;
  /** Fewer turns and steps, for a look in passing. */
  readonly quick: boolean;
  readonly clock: ClockKind;
  /** Threads of every operator; the runtime's choice if left out. One, with `cpu`, is not disturbed by what else runs. */
  readonly threads?: number;
  readonly json: string;
  /** Whether to put the tables into docs/results.md too. */
  readonly write: boolean;
  /** Edits: a batch file, CounterFact or zsRE. */
  readonly data: string;
  /** Interpreter with {@link pythonModules}, for the comparisons with PyTorch. */
  readonly python?: string;
  /** Ordinary text; random tokens without it. */
  readonly corpus?: string;
  /** Which solvers factor; TensorFlow's is found by HOOKLINE_TFJS. */
  readonly solvers: readonly SolverChoice[];
  /** Widths of the moments that they factor. */
  readonly widths: readonly number[];
  /** Situations of `use` to measure; all if empty. */
  readonly rows: readonly string[];
  /** How many records they take, by name, where it differs. */
  readonly records: Readonly<Record<string, unknown>>;
  /** Hyperparameters of `use` that differ from the model's preset. */
  readonly set: Readonly<Record<string, unknown>>;
  /** Which of the random models of `shapes`. */
  readonly shapes: readonly string[];
  /** Folder with counterfact.jsonl, zsre.jsonl, qaedit.json and wikipedia.txt. */
  readonly datasets?: string;
}

/** What Python must have for the comparisons with PyTorch. */
export const pythonModules = ['torch', 'transformers', 'safetensors'] as const;

const isCompiled = import.meta.url.includes('/.bench/build/');
/** Of the project, seen from what is compiled, or from the sources in a test. */
export const root = new URL(isCompiled ? '../../../../' : '../../', import.meta.url).pathname;
/** The bundled model, its world and its batches. */
export const bundled = join(root, 'examples', 'aldermark');

/** Reads the command line; paths are relative to the working directory. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string', default: join(bundled, 'model') },
      layers: { type: 'string', default: '3' },
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      clock: { type: 'string', default: 'wall' },
      threads: { type: 'string' },
      edits: { type: 'string', default: '16' },
      python: { type: 'string' },
      solver: { type: 'string', default: 'onnx,tensorflow' },
      widths: { type: 'string', default: '1536' },
      write: { type: 'boolean', default: false },
      json: { type: 'string', default: join(root, '.bench', 'results.json') },
      data: { type: 'string', default: join(bundled, 'batches', 'round-1.jsonl') },
      corpus: { type: 'string', default: join(bundled, 'corpus.txt') },
      rows: { type: 'string', multiple: true, default: [] },
      records: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      datasets: { type: 'string' },
      shapes: { type: 'string', default: 'qwen2.5-0.5b,llama-3.2-1b' },
    },
  });
  const { corpus, python, layers, only, clock, edits, solver, widths, threads, rows, records, set, shapes, ...rest } =
    values;
  const { datasets = process.env.HOOKLINE_DATA, ...named } = rest;
  const interpreter = python ?? pythonWith(...pythonModules);
  return {
    ...named,
    clock: clock === 'cpu' ? 'cpu' : 'wall',
    edits: Number(edits),
    layers: layers.split(',').map(Number),
    solvers: solverChoices.filter((choice) => solver.split(',').includes(choice)),
    widths: widths.split(',').map(Number),
    only: only.flatMap((names) => names.split(',')),
    shapes: shapes.split(',').map((name) => choiceOf('--shapes', name, Object.keys(modelShapes))),
    rows: rows.flatMap((names) => names.split(',')),
    records: namedValues(
      '--records',
      records.flatMap((counts) => counts.split(',')),
    ),
    set: namedValues('--set', set),
    ...(datasets !== undefined && { datasets }),
    ...(threads !== undefined && { threads: Number(threads) }),
    ...(existsSync(corpus) && { corpus }),
    ...(interpreter !== undefined && { python: interpreter }),
  };
}

function choiceOf(option: string, name: string, choices: readonly string[]): string {
  if (choices.includes(name)) return name;
  throw new InvalidInputError(option, `one of ${choices.join(', ')}`, name);
}
