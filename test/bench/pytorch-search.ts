import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Hyperparameters, ValueSearch, valueLayer } from '../../src/editing/index.js';
import type { TokenizedEdit } from '../../src/editing/prompts.js';
import { median, secondsOf } from './clock.js';
import { asInThePaper, type BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';
import { emptyHooks } from './hooks.js';

/** What the oracle says of one edit. */
interface OracleSearch {
  readonly seconds: number;
  readonly losses: readonly number[];
  readonly target: readonly number[];
}

/**
 * Seconds per edit against MEMIT's value search in PyTorch, which runs the whole model on whole sequences, one edit at a
 * time: same edits, same templates, same objective (without keep prompts, which MEMIT does not have), same steps, in turns.
 */
export async function measurePytorchSearch(context: BenchContext): Promise<Measurement> {
  const { model, options, quick } = context;
  const edits = context.edits.slice(0, options.edits);
  const oracleEdits = edits.slice(0, quick ? 2 : 4);
  const memit = { ...asInThePaper(context.settings), keepFactor: 0, klFactor: 0.0625 };
  const hooks = emptyHooks(model, memit);
  const [searches, stopping] = [
    await ValueSearch.compile(model, memit),
    await ValueSearch.compile(model, context.settings),
  ];
  for (const search of [searches, stopping]) await search.search(edits.slice(0, 1), hooks);
  const [ours, stopped, oracle, differences, lossDifferences]: number[][] = [[], [], [], [], []];
  for (const [e, edit] of oracleEdits.entries()) {
    let found: Awaited<ReturnType<ValueSearch['search']>> = [];
    ours.push((await secondsOf(async () => (found = await searches.search(edits, hooks)))) / edits.length);
    stopped.push((await secondsOf(() => stopping.search(edits, hooks))) / edits.length);
    const [expected] = await pytorchSearch(options.python!, model.directory, memit, [edit]);
    oracle.push(expected.seconds);
    differences.push(relativeDifference(found[e].target, expected.target));
    lossDifferences.push(Math.abs(found[e].losses[0] / expected.losses[0] - 1));
  }
  await searches.dispose();
  await stopping.dispose();
  return {
    name: 'pytorch-search',
    note: `${edits.length} edits at once against MEMIT's search in PyTorch, one at a time, block ${valueLayer(memit)}, 25 steps`,
    figures: [
      figure('PyTorch, best', Math.min(...oracle), 's/edit'),
      figure('PyTorch, median', median(oracle), 's/edit'),
      figure('ours, same objective and steps, median', median(ours), 's/edit'),
      figure('ours, preset and its stop, with keep prompts, median', median(stopped), 's/edit'),
      figure('PyTorch / ours, same steps, median', median(oracle) / median(ours), 'x'),
      figure('PyTorch / ours, preset, median', median(oracle) / median(stopped), 'x', { atLeast: 12 }),
      figure('relative difference of the first loss', Math.max(...lossDifferences), '', { atMost: 1e-3 }),
      figure('relative difference of the values', Math.max(...differences), ''),
    ],
  };
}

/** Runs the oracle in a child process; its model's loading is not counted. */
async function pytorchSearch(
  python: string,
  directory: string,
  settings: Hyperparameters,
  edits: readonly TokenizedEdit[],
): Promise<OracleSearch[]> {
  const script = fileURLToPath(new URL('../../../../test/bench/oracle/memit_search.py', import.meta.url));
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { steps, learningRate, clampNormFactor, weightDecay, klFactor } = settings;
  child.stdin.end(
    JSON.stringify({
      model: directory,
      layer: valueLayer(settings),
      ...{ steps, learningRate, clampNormFactor, weightDecay, klFactor },
      edits: edits.map(({ prompts, targetIds, subjectPrompt }) => ({
        prompts: prompts.map(({ tokenIds }) => tokenIds),
        lookups: prompts.map(({ lookupIndex }) => lookupIndex),
        targetIds,
        subjectIds: subjectPrompt.tokenIds,
        subjectLookup: subjectPrompt.lookupIndex,
      })),
    }),
  );
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`oracle: exit code 0, got ${code}`);
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as OracleSearch);
}

function relativeDifference(actual: Float64Array, expected: readonly number[]): number {
  return Math.hypot(...actual.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}
