import { join } from 'node:path';
import { type Hyperparameters, type TokenizedSubject, ValueSearch, valueLayer } from '../../src/editing/index.js';
import { runPython } from '../support/python.js';
import { median, secondsOf } from './clock.js';
import { asInThePaper, type BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';
import { root } from './options.js';

/** What the oracle says of one edit. */
interface OracleSearch {
  readonly seconds: number;
  readonly losses: readonly number[];
  readonly delta: readonly number[];
}

/**
 * Seconds per edit against MEMIT's value search in PyTorch, which runs the whole model on whole sequences, one edit at a
 * time: same edits, same templates, same objective (without what is kept, which MEMIT does not have), same steps, in turns.
 */
export async function measurePytorchSearch(context: BenchContext): Promise<Measurement> {
  const { model, options, quick } = context;
  const subjects = context.subjects.slice(0, options.edits);
  const oracleSubjects = subjects.slice(0, quick ? 2 : 4);
  const memit = { ...asInThePaper(context.settings), klFactor: 0.0625 };
  const [searches, stopping] = [
    await ValueSearch.compile(model, memit),
    await ValueSearch.compile(model, context.settings),
  ];
  for (const search of [searches, stopping]) await search.search(subjects.slice(0, 1));
  const [ours, stopped, oracle, differences, lossDifferences]: number[][] = [[], [], [], [], []];
  for (const [e, subject] of oracleSubjects.entries()) {
    let found: Awaited<ReturnType<ValueSearch['search']>> = [];
    ours.push((await secondsOf(async () => (found = await searches.search(subjects)))) / subjects.length);
    stopped.push((await secondsOf(() => stopping.search(subjects))) / subjects.length);
    const [expected] = await pytorchSearch(options.python!, model.directory, memit, [subject]);
    oracle.push(expected.seconds);
    differences.push(relativeDifference(found[e].delta, expected.delta));
    lossDifferences.push(Math.abs(found[e].losses[0] / expected.losses[0] - 1));
  }
  await searches.dispose();
  await stopping.dispose();
  return {
    name: 'pytorch-search',
    note: `${subjects.length} edits at once against MEMIT's search in PyTorch, one at a time, block ${valueLayer(memit)}, 25 steps`,
    figures: [
      figure('PyTorch, best', Math.min(...oracle), 's/edit'),
      figure('PyTorch, median', median(oracle), 's/edit'),
      figure('ours, same objective and steps, median', median(ours), 's/edit'),
      figure('ours, preset and its stop, with what is kept, median', median(stopped), 's/edit'),
      figure('PyTorch / ours, same steps, median', median(oracle) / median(ours), 'x'),
      figure('PyTorch / ours, preset, median', median(oracle) / median(stopped), 'x', { atLeast: 12 }),
      figure('relative difference of the first loss', Math.max(...lossDifferences), '', { atMost: 1e-3 }),
      figure('relative difference of the values', Math.max(...differences), ''),
    ],
  };
}

/** Runs the oracle in a child process; its model's loading is not counted. */
export function pytorchSearch(
  python: string,
  directory: string,
  settings: Hyperparameters,
  subjects: readonly TokenizedSubject[],
): Promise<OracleSearch[]> {
  const { steps, learningRate, clampNormFactor, weightDecay, klFactor } = settings;
  return runPython(
    python,
    { file: join(root, 'test/bench/oracle/memit_search.py') },
    {
      model: directory,
      layer: valueLayer(settings),
      steps,
      learningRate,
      clampNormFactor,
      weightDecay,
      klFactor,
      edits: subjects.map(({ facts: [{ texts }], essence }) => ({
        prompts: texts.map(({ tokenIds, promptTokens }) => tokenIds.slice(0, promptTokens)),
        lookups: texts.map(({ lookups: [lookup] }) => lookup),
        targetIds: texts[0].tokenIds.slice(texts[0].promptTokens),
        subjectIds: essence.tokenIds,
        subjectLookup: essence.lookups[0],
      })),
    },
  );
}

function relativeDifference(actual: Float64Array, expected: readonly number[]): number {
  return Math.hypot(...actual.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}
