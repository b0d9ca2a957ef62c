/** @file The regular expressions by which pre-tokenisers split text: those that are known, and what is asked of others. */
import { InvalidInputError } from '../errors.js';
import { withinTime } from './time-limit.js';
import type { Component } from './traced-text.js';

export const gpt2Pattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
export const llama3Pattern = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
export const qwen2Pattern = llama3Pattern.replace(String.raw`\p{N}{1,3}`, String.raw`\p{N}`);
export const singleDigits = String.raw`\p{N}`;
export const wholeNumbers = String.raw`\p{N}+`;

/** Words that each begin with a mark. */
export function markedWords(mark: string): string {
  return `${mark}[^${mark}]*|[^${mark}]+`;
}

/** They take time in proportion to the text, whatever it says. */
const knownPatterns: ReadonlySet<string> = new Set([
  gpt2Pattern,
  llama3Pattern,
  qwen2Pattern,
  singleDigits,
  wholeNumbers,
  markedWords('▁'),
]);

/** The patterns of a pre-tokeniser that may take any time to match a text. */
export function unknownPatterns(preTokenizers: readonly Component[]): string[] {
  const patterns = preTokenizers.map(({ pattern }) => (pattern as { readonly Regex?: unknown } | undefined)?.Regex);
  return patterns.filter((regex): regex is string => typeof regex === 'string' && !knownPatterns.has(regex));
}

/** What ends a computation with patterns that are not known. */
export class PatternWatch {
  readonly #path: string;
  readonly #patterns: readonly string[];

  /** @param path of the file that names the patterns */
  constructor(path: string, patterns: readonly string[]) {
    this.#path = path;
    this.#patterns = patterns;
  }

  /** @throws {InvalidInputError} naming file and pattern, if a text of so many UTF-16 units takes longer than it may */
  watch<T>(characters: number, work: () => T, what = `${characters} characters`): T {
    if (this.#patterns.length === 0) return work();
    return withinTime(secondsFor(characters) * 1000, work, () => this.#tooSlow(secondsFor(characters), what));
  }

  /**
   * Tries texts on which a pattern that tries one match in many ways takes longer than anybody waits: characters that it
   * names, repeated, with an end that fits nothing.
   *
   * @throws {InvalidInputError} naming file and pattern
   */
  probe(split: (text: string) => unknown): void {
    if (this.#patterns.length === 0) return;
    let text = '';
    const tryAll = () => {
      for (text of probeTexts(this.#patterns.join(''))) split(text);
    };
    const shown = () => `${text.length} characters that begin with ${JSON.stringify(text.slice(0, 8))}`;
    withinTime(probeSeconds * 1000, tryAll, () => this.#tooSlow(probeSeconds, shown()));
  }

  #tooSlow(seconds: number, what: string): InvalidInputError {
    const patterns = this.#patterns.map((pattern) => JSON.stringify(pattern.slice(0, 200))).join(' and ');
    const requirement = 'a pre_tokenizer whose pattern takes time in proportion to the text';
    return new InvalidInputError(this.#path, requirement, `${patterns}: over ${seconds} s for ${what}`);
  }
}

const probeSeconds = 2;

/** Many times what the slowest vocabulary needs on one core. */
const secondsFor = (characters: number): number => 5 + Math.ceil(characters / 10_000);

/** One of each class that patterns name. */
const samples = ['a', 'A', '0', ' ', '\n', '.', "'", '_', 'é', '中'];
const ends = ['\u0000', '!', ' x', '\n0'];

function* probeTexts(pattern: string): Generator<string> {
  const literals = [...new Set(pattern.replace(/\\[pP]\{[^}]*\}|\\[a-zA-Z]|[[\]{}()*+?|^$\\]/g, ''))].slice(0, 30);
  const units = [...new Set([...samples, ...literals])];
  const pairs = units.slice(0, 24).flatMap((first) => units.slice(0, 24).map((second) => first + second));
  // Exponential patterns need no more.
  for (const unit of [...units, ...pairs]) for (const end of ends) yield unit.repeat(40) + end;
  // Quadratic ones take 10^9 steps.
  for (const unit of units) yield unit.repeat(32_768) + ends[0];
}
