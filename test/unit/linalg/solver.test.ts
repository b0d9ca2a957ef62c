import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NotPositiveDefiniteError } from '../../../src/errors.js';
import { inverseFactor, PlainGemmEngine, Solver, type SolverChoice } from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { illConditioned } from '../../support/random-matrix.js';

const engine = new PlainGemmEngine();
const a = illConditioned(40, 1e4, 1);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hookline-solver-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A folder in which TensorFlow's package is there and does this when it is loaded. */
async function installed(name: string, code: string): Promise<string> {
  const path = join(folder, name);
  const place = join(path, 'node_modules', '@tensorflow', 'tfjs-node-gpu');
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'package.json'), JSON.stringify({ name: '@tensorflow/tfjs-node-gpu', main: 'index.js' }));
  await writeFile(join(place, 'index.js'), code);
  return path;
}

async function solved(choice: SolverChoice, tensorflowFolder: string, turns = 1) {
  const notices: string[] = [];
  const solver = new Solver({ choice, tensorflowFolder, engine, onNotice: (notice) => notices.push(notice) });
  let result = await solver.inverseFactor(a, 'moment');
  for (let turn = 1; turn < turns; turn++) result = await solver.inverseFactor(a, 'moment');
  return { ...result, notices };
}

describe('the solver', () => {
  it('factors by the default engine where that is asked for', async () => {
    const { factor, origin, notices } = await solved('onnx', folder);
    expect(factor).toEqual(await inverseFactor(a, engine));
    expect(origin).toEqual({ solver: 'onnx', reason: 'as asked for' });
    expect(notices).toEqual(['factored by onnx: as asked for']);
  });

  it('does not load TensorFlow for a small matrix unless it is asked for', async () => {
    const path = await installed('unloadable', 'throw new Error("loaded")');
    const { origin, notices } = await solved('auto', path);
    expect(origin.reason).toBe('auto, 40 rows are fewer than the 4096 where TensorFlow may pay');
    expect(notices).toHaveLength(1);
  });

  it('does it the default way without the package, and says so once', async () => {
    const { factor, origin, notices } = await solved('tensorflow', folder, 3);
    expect(factor).toEqual(await inverseFactor(a, engine));
    const reason = `tensorflow was asked for, but @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node is not installed in ${folder}`;
    expect(origin).toEqual({ solver: 'onnx', reason });
    expect(notices).toEqual([`factored by onnx: ${reason}`]);
  });

  it('does it the default way where the package does not load, and says so once', async () => {
    const path = await installed('broken', 'throw new Error("no addon found at /x. \\nPlease rebuild it")');
    const { factor, origin, notices } = await solved('tensorflow', path, 2);
    expect(factor).toEqual(await inverseFactor(a, engine));
    expect(origin.reason).toBe(
      'tensorflow was asked for, but @tensorflow/tfjs-node-gpu does not load: no addon found at /x.',
    );
    expect(notices).toEqual([`factored by onnx: ${origin.reason}`]);
  });

  it('lets an indefinite matrix fail as it is, whoever is asked', async () => {
    const bad = identity(10);
    bad.data[44] = -1;
    const solver = new Solver({ choice: 'tensorflow', tensorflowFolder: folder, engine });
    await expect(solver.inverseFactor(bad, 'moment')).rejects.toThrow(NotPositiveDefiniteError);
  });
});
