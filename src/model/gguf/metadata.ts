/** @file Typed access to the key-value pairs of a GGUF file. */

import type { MetadataValue } from '@huggingface/gguf';
import { MalformedFileError } from '../../errors.js';

/** The key-value pairs of one GGUF file. A value of another type than requested means a malformed file. */
export class Metadata {
  readonly #values: Readonly<Record<string, MetadataValue>>;

  constructor(
    readonly path: string,
    values: Readonly<Record<string, MetadataValue>>,
  ) {
    this.#values = values;
  }

  /** @throws {MalformedFileError} if the value is no number */
  number(key: string): number | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (typeof value !== 'number' && typeof value !== 'bigint') throw this.#mismatch(key, 'a number', value);
    return Number(value);
  }

  /**
   * A size.
   *
   * @throws {MalformedFileError} if it is no whole number from 1 to `most`
   */
  count(key: string, most: number): number | undefined {
    const value = this.number(key);
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1 && value <= most)) return value;
    throw this.#mismatch(key, `a whole number from 1 to ${most}`, value);
  }

  /** @throws {MalformedFileError} if the key is absent, or no whole number from 1 to `most` */
  requiredCount(key: string, most: number): number {
    const value = this.count(key, most);
    if (value === undefined) throw this.#mismatch(key, 'a number', 'nothing');
    return value;
  }

  /** A number that was stored as float32, as the shortest decimal that rounds to it: 1e-5 rather than 9.99999974e-6. */
  decimal(key: string): number | undefined {
    const value = this.number(key);
    return value === undefined ? undefined : shortestDecimal(value);
  }

  /** @throws {MalformedFileError} if the value is no string */
  string(key: string): string | undefined {
    const value = this.#values[key];
    if (value !== undefined && typeof value !== 'string') throw this.#mismatch(key, 'a string', value);
    return value;
  }

  /** @throws {MalformedFileError} if the value is no boolean */
  boolean(key: string): boolean | undefined {
    const value = this.#values[key];
    if (value !== undefined && typeof value !== 'boolean') throw this.#mismatch(key, 'a boolean', value);
    return value;
  }

  /** @throws {MalformedFileError} if the value is no array of strings */
  strings(key: string): readonly string[] | undefined {
    return this.#array(key, 'strings', (entry) => typeof entry === 'string') as string[] | undefined;
  }

  /** @throws {MalformedFileError} if the value is no array of numbers */
  numbers(key: string): readonly number[] | undefined {
    return this.#array(key, 'numbers', (entry) => typeof entry === 'number') as number[] | undefined;
  }

  #array(key: string, kind: string, accepts: (entry: MetadataValue) => boolean): MetadataValue[] | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every(accepts)) throw this.#mismatch(key, `an array of ${kind}`, value);
    return value;
  }

  #mismatch(key: string, requirement: string, got: MetadataValue): MalformedFileError {
    return new MalformedFileError(this.path, `${requirement} at ${key}`, String(got).slice(0, 80));
  }
}

function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === Math.fround(value)) return candidate;
  }
  return value;
}
