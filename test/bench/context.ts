/** @file What all measurements share: the model, its settings, edits and text. */

import { readFile } from 'node:fs/promises';
import {
  type Context,
  type Hyperparameters,
  resolveHyperparameters,
  type TokenizedSubject,
} from '../../src/editing/index.js';
import { presetFor } from '../../src/editing/presets.js';
import { readBatch } from '../../src/evaluation/read-batch.js';
import { loadModel, type Model } from '../../src/model/index.js';
import { loadTokenizer, type Tokenizer } from '../../src/model/tokenizer.js';
import { subjectOf, textContexts } from '../support/tokenized-subject.js';
import type { BenchOptions } from './options.js';
import { randomIds } from './random.js';

/** What a measurement is given. */
export interface BenchContext {
  readonly model: Model;
  readonly settings: Hyperparameters;
  /** One fact each in six contexts, as the method uses them. */
  readonly subjects: readonly TokenizedSubject[];
  /** Sequences of ordinary text, each of `length` tokens. */
  readonly text: (count: number, length: number) => number[][];
  /** Fewer turns, for a look in passing. */
  readonly quick: boolean;
  readonly options: BenchOptions;
}

/** Opens the model and lays the edits out. */
export async function openContext(options: BenchOptions): Promise<BenchContext> {
  const model = await loadModel(options.model);
  const tokenizer = await loadTokenizer(options.model);
  const { settings: preset } = await presetFor(model);
  const settings = resolveHyperparameters({ ...preset, layers: [...options.layers] }, model.config);
  const { edits } = await readBatch(options.data, { limit: 64 });
  const texts = {
    contexts: contextTemplates(tokenizer, settings.contextTokens),
    keptTokens: settings.keptTokens,
  };
  const corpus = options.corpus === undefined ? undefined : (await readFile(options.corpus, 'utf8')).slice(0, 400_000);
  const corpusIds = corpus === undefined ? [] : corpus.split('\n').flatMap((line) => tokenizer.encode(`${line}\n`).ids);
  return {
    model,
    settings,
    subjects: edits.map((edit) => subjectOf(tokenizer, [edit], texts)),
    text: (count, length) => cut(corpusIds, count, length, model.config.vocab),
    quick: options.quick,
    options,
  };
}

/**
 * The search as the field runs it: Adam on the loss itself, in every template, for a fixed number of steps, without the terms
 * for what else is said.
 */
export function asInThePaper(settings: Hyperparameters, steps = 25): Hyperparameters {
  return { ...settings, descent: 'loss', templatesPerStep: 0, stopLoss: 0, keepFactor: 0, endFactor: 0, steps };
}

/** Sequences from the corpus while it lasts, then of random tokens: the arithmetic does not ask what a token says. */
function cut(ids: readonly number[], count: number, length: number, vocab: number): number[][] {
  return Array.from({ length: count }, (_, i) => {
    const sequence = ids.slice(i * length, (i + 1) * length);
    return sequence.length === length ? sequence : randomIds(length, vocab, i);
  });
}

const firings = [
  'The town lies on both banks of the river and has been known for its markets since the middle ages',
  'Therefore the council decided to build a second bridge, which was opened in the spring of the next year',
  'Because of the long winter, most of the harvest was lost and prices rose in all parts of the country',
  'I have often walked along the old wall and thought of the people who once lived behind it',
  'You can see the mountains from the station on a clear day, and the sea when the wind is from the west',
];

/** The bare context and five prefixes of the method's length, `contextTokens` tokens each. */
function contextTemplates(tokenizer: Tokenizer, contextTokens: number): Context[] {
  const prefixes = firings.map((text) => tokenizer.decode(tokenizer.encodePlain(text).ids.slice(0, contextTokens)));
  return textContexts(...prefixes.map((prefix) => `${prefix.replaceAll('{}', '')}. {}`));
}
