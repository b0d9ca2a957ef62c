import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ScriptFolder } from '../../support/node-child.js';
import { patienceSeconds } from '../../support/patience.js';

const scripts = new ScriptFolder(['cli/terminal']);
afterAll(() => scripts.remove());

const pipe = join(scripts.path, 'pipe');
execFileSync('mkfifo', [pipe]);
const program = scripts.write(`
import { open } from 'node:fs';
import { onStop } from './cli/terminal/stop-signals.js';
const [, , graceSeconds, pipe, ends] = process.argv;
const stopping = onStop(async () => { if (ends === 'never') await new Promise(() => undefined); }, Number(graceSeconds));
// A thread that waits for a writer that never comes.
open(pipe, 'r', () => undefined);
const running = setInterval(() => undefined, 1000);
console.log('ready');
await stopping.stopped;
clearInterval(running);`);

describe.skipIf(process.platform === 'win32')('a program that is told to stop', () => {
  it.each([
    'never',
    'at once',
  ])('ends within its grace time, though its work ends %s and a thread hangs', async (ends) => {
    const running = scripts.run(program, '1', pipe, ends);
    await running.printed('ready');
    const startedAt = performance.now();
    running.process.kill('SIGTERM');
    const { code } = await running.ended;
    expect(code).toBe(null);
    expect(running.process.signalCode).toBe('SIGKILL');
    expect(performance.now() - startedAt).toBeLessThan(1000 * patienceSeconds);
  });
});
