/** @file A program that writes one file into an inbox, as people and programs do, and tells which lines are written. */
import { closeSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { uniform } from '../support/random-matrix.js';

/**
 * How a file is written. `renamed`: under a hidden name, as by rsync. `part`: under a temporary name, as by a browser.
 * `slow`: in pieces through one handle. `appending`: a line at a time, opened anew for each. `in place`: as an editor saves,
 * twice.
 */
export const writerModes = ['renamed', 'part', 'slow', 'appending', 'in place'] as const;
export type WriterMode = (typeof writerModes)[number];

export interface WriterOptions {
  readonly path: string;
  readonly mode: WriterMode;
  readonly lines: readonly string[];
  readonly seed: number;
  readonly longestPauseSeconds: number;
}

const { path, mode, lines, seed, longestPauseSeconds }: WriterOptions = JSON.parse(process.argv[2]);
const random = uniform(seed);
const pause = () => sleep(1000 * longestPauseSeconds * random() ** 2);
const tell = (line: number) => process.stdout.write(`${line}\n`);

/** A disk may be full for a while. */
async function untilDone<T>(act: () => T): Promise<T> {
  for (;;) {
    try {
      return act();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      await sleep(100);
    }
  }
}

async function write(file: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += await untilDone(() => writeSync(file, bytes, done));
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const whole = bytesOf(lines.map((line) => `${line}\n`).join(''));
const tellAll = () => {
  for (const i of lines.keys()) tell(i);
};

async function writeAt(place: string): Promise<void> {
  const file = await untilDone(() => openSync(place, 'w'));
  const cut = Math.floor(random() * whole.length);
  await write(file, whole.subarray(0, cut));
  await pause();
  await write(file, whole.subarray(cut));
  closeSync(file);
}

const writers: Readonly<Record<WriterMode, () => Promise<void>>> = {
  renamed: () => moved(join(dirname(path), `.${basename(path)}.${Math.floor(random() * 1e6)}`)),
  part: () => moved(`${path}.part`),
  slow: async () => {
    const file = await untilDone(() => openSync(path, 'w'));
    for (const [i, line] of lines.entries()) {
      const bytes = bytesOf(`${line}\n`);
      const cut = Math.floor(random() * bytes.length);
      await write(file, bytes.subarray(0, cut));
      await pause();
      await write(file, bytes.subarray(cut));
      tell(i);
      await pause();
    }
    closeSync(file);
  },
  appending: async () => {
    for (const [i, line] of lines.entries()) {
      const file = await untilDone(() => openSync(path, 'a'));
      await write(file, bytesOf(`${line}\n`));
      closeSync(file);
      tell(i);
      await pause();
    }
  },
  'in place': async () => {
    const file = await untilDone(() => openSync(path, 'w'));
    await write(file, bytesOf(`${lines[0]}\n`));
    await pause();
    ftruncateSync(file, 0);
    for (let done = 0; done < whole.length; ) {
      const at = done;
      done += await untilDone(() => writeSync(file, whole, at, whole.length - at, at));
    }
    closeSync(file);
    tellAll();
  },
};

async function moved(draft: string): Promise<void> {
  await writeAt(draft);
  await untilDone(() => renameSync(draft, path));
  tellAll();
}

await writers[mode]();
