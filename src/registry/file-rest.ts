import type { Stats } from 'node:fs';
import { type FileIdentity, openForWriting } from './open-writers.js';

/** A file as it is now. */
export interface ObservedFile extends FileIdentity {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

export const observed = (path: string, { dev, ino, size, mtimeMs, ctimeMs }: Stats): ObservedFile => ({
  path,
  dev,
  ino,
  size,
  mtimeMs,
  ctimeMs,
});

/** Names the state of a file: another one after every write, move and change of its rights. */
export const stampOf = ({ ino, size, mtimeMs, ctimeMs }: ObservedFile): string =>
  `${ino} ${size} ${mtimeMs} ${ctimeMs}`;

interface Observation {
  readonly stamp: string;
  /** Of a clock that nobody sets, in milliseconds. */
  readonly since: number;
  hasNoWriter: boolean;
  lastAskedAt: number;
}

const forgottenAfterMilliseconds = 600_000;

/** Tells which files may still be being written by other programs. */
export class FileRest {
  readonly #settleMilliseconds: number;
  readonly #observations = new Map<string, Observation>();

  /** @param settleSeconds how long a file must be unchanged */
  constructor(settleSeconds: number) {
    this.#settleMilliseconds = 1000 * settleSeconds;
  }

  /** Paths of the files that have changed lately, or that a process has open for writing. */
  async growing(files: readonly ObservedFile[]): Promise<ReadonlySet<string>> {
    const now = performance.now();
    const growing = new Set<string>();
    const resting: (readonly [ObservedFile, Observation])[] = [];
    for (const file of files) {
      const observation = this.#observe(file, now);
      if (this.#isUnchanged(file, observation, now)) resting.push([file, observation]);
      else growing.add(file.path);
    }
    const unknown = resting.filter(([, { hasNoWriter }]) => !hasNoWriter);
    const written = await openForWriting(unknown.map(([file]) => file));
    for (const [{ path }, observation] of unknown) {
      if (written.has(path)) growing.add(path);
      else observation.hasNoWriter = true;
    }
    this.#forget(now);
    return growing;
  }

  #observe(file: ObservedFile, now: number): Observation {
    const stamp = stampOf(file);
    const known = this.#observations.get(file.path);
    const observation = known?.stamp === stamp ? known : { stamp, since: now, hasNoWriter: false, lastAskedAt: now };
    observation.lastAskedAt = now;
    this.#observations.set(file.path, observation);
    return observation;
  }

  /** By its times, or, since somebody may have set these or the clock, as it was observed. */
  #isUnchanged({ mtimeMs, ctimeMs }: ObservedFile, { since }: Observation, now: number): boolean {
    const ageMilliseconds = Date.now() - Math.max(mtimeMs, ctimeMs);
    return Math.max(ageMilliseconds, now - since) >= this.#settleMilliseconds;
  }

  #forget(now: number): void {
    for (const [path, { lastAskedAt }] of this.#observations)
      if (now - lastAskedAt > forgottenAfterMilliseconds) this.#observations.delete(path);
  }
}
