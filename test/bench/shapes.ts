/** @file Memory and time of the product on models of real shapes, with random weights in bfloat16. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { bundled, root } from './options.js';
import { modelShapes } from './shapes/model-shapes.js';
import { writeRandomModel } from './shapes/write-random-model.js';

/** GiB that editing a model may take, its mapped weights included, where a limit is promised. */
const mostGibibytes: Readonly<Record<string, number>> = { 'llama-3.2-1b': 6, 'llama-3.2-3b': 16 };

/** Steps of the value search: more take longer, and no more memory. */
const steps = 2;

/** Bytes of the text for key statistics and for drift: some two runs of 1 024 tokens. */
const textBytes = 8192;

/** A whole run of `hookline edit` on each shape of `--shapes`, by stage. */
export async function measureShapes({ options }: BenchContext): Promise<Measurement> {
  const figures: Figure[] = [];
  for (const name of options.shapes) {
    const folder = join(tmpdir(), 'hookline-shapes', name);
    if (!existsSync(join(folder, 'config.json'))) {
      process.stderr.write(`shapes: writing ${name}\n`);
      await writeRandomModel(folder, modelShapes[name]);
    }
    const stages = await editOnce(folder);
    const peak = Math.max(...stages.map(({ peakBytes }) => peakBytes));
    const most = mostGibibytes[name];
    figures.push(
      figure(`${name}: weights in bfloat16`, gibibytes(weightBytes(folder)), 'GiB'),
      figure(`${name}: most memory`, gibibytes(peak), 'GiB', most === undefined ? undefined : { atMost: most }),
      ...stages.flatMap(({ stage, seconds, peakBytes }) => [
        figure(`${name}: ${stage}`, seconds, 's'),
        figure(`${name}: ${stage}, memory`, gibibytes(peakBytes), 'GiB'),
      ]),
    );
  }
  return {
    name: 'shapes',
    note: `one edit, ${steps} steps; memory is resident, each page counted once, mapped weights included`,
    figures,
  };
}

const gibibytes = (bytes: number): number => bytes / 2 ** 30;

const weightBytes = (folder: string): number =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

/** What a stage took. */
interface StageCost {
  readonly stage: string;
  readonly seconds: number;
  readonly peakBytes: number;
}

/** Edits one fact as a user would, in a process of its own, and looks at its memory meanwhile. */
async function editOnce(model: string): Promise<StageCost[]> {
  const store = mkdtempSync(join(tmpdir(), 'hookline-store-'));
  const text = join(store, 'text.txt');
  writeFileSync(text, readFileSync(join(bundled, 'heldout.txt')).subarray(0, textBytes));
  const command = [
    ...[join(root, 'dist/cli/main.js'), 'edit', join(bundled, 'batches/round-1.jsonl'), '--limit', '1'],
    ...['--model', model, '--store', store, '--corpus', text, '--held-out', text],
    ...['--no-judge', '--set', `steps=${steps}`, '--set', 'targetSteps=0'],
  ];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const stages: StageCost[] = [];
  const lines: string[] = [];
  let [begun, peakBytes] = [performance.now(), 0];
  createInterface(child.stderr).on('line', (line) => {
    lines.push(line);
    const stage = /^(\w+) +100 % /.exec(line)?.[1];
    if (stage === undefined) return;
    const now = performance.now();
    const cost = { stage, seconds: (now - begun) / 1000, peakBytes };
    const last = stages.at(-1);
    if (last?.stage === stage) {
      const seconds = last.seconds + cost.seconds;
      stages[stages.length - 1] = { stage, seconds, peakBytes: Math.max(last.peakBytes, peakBytes) };
    } else stages.push(cost);
    [begun, peakBytes] = [now, 0];
  });
  while (child.exitCode === null && child.signalCode === null) {
    peakBytes = Math.max(peakBytes, physicalBytes(child.pid!));
    await pause(200);
  }
  const code = await ended;
  rmSync(store, { recursive: true, force: true });
  if (code !== 0) throw new Error(`hookline edit on ${model}: exit code 0, got ${code}: ${lines.slice(-3).join('; ')}`);
  return stages;
}

/** Resident bytes of a process, each page once however often it is mapped; 0 where the system does not say. */
function physicalBytes(pid: number): number {
  try {
    return 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(code)) return 0;
    throw error;
  }
}
