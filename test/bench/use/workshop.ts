/** @file Writes edits as a user does, and asks the edited model and its base. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Edit, HookLayer } from '../../../src/editing/index.js';
import { completeEdit, type EditInput, measureDrift } from '../../../src/evaluation/index.js';
import { loadModel, loadTokenizer, type Model, type Tokenizer } from '../../../src/model/index.js';
import type { Progress } from '../../../src/progress.js';
import type { ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import {
  type EditSession,
  type EditSessionRequest,
  heldOutSequences,
  heldOutTokens,
  openEditSession,
  type RoundOutcome,
} from '../../../src/rounds/index.js';
import { HookableModel, loadVersionHooks } from '../../../src/serving/index.js';
import { cpuSeconds } from '../clock.js';
import { splitText } from './judging.js';

/** Model and texts that a workshop works with. */
export interface WorkshopRequest {
  readonly modelDirectory: string;
  /** Text for key statistics. */
  readonly corpus: string;
  /** Ordinary text for drift; the end of the corpus unless given. */
  readonly heldOut?: string;
  /** Settings that differ from the model's preset. */
  readonly settings: NonNullable<EditSessionRequest['settings']>;
  /** Where key statistics are kept. */
  readonly statistics: ObjectStore;
  /** Told what is being done. */
  readonly say: (text: string) => void;
}

/** An answer, as text and as tokens. */
export interface Answer {
  readonly text: string;
  readonly tokenIds: readonly number[];
}

/** Edits that were written, and the model that carries them. */
export interface Written {
  /** All edits that were asked for, round by round, also those that were refused. */
  readonly rounds: readonly (readonly Edit[])[];
  readonly outcomes: readonly RoundOutcome[];
  /** The processor's seconds of each round's value search from its second step on, on all cores together. */
  readonly searchCpuSeconds: readonly number[];
  readonly model: HookableModel;
  readonly hooks: readonly HookLayer[];
  readonly tokenizer: Tokenizer;
}

const modelId = 'use';
const toldMisses = 4;
/** About 8 000 tokens are taken for drift. */
export const heldOutCharacters = 80_000;

/** Writes edits into stores in memory. Key statistics are computed once for a model, its layers and a text. */
export class Workshop {
  readonly #sequences: readonly (readonly number[])[];
  readonly #model: Model;
  readonly #folder: string;
  readonly #request: WorkshopRequest;
  readonly #compiled = new Map<string, Promise<HookableModel>>();
  #knowsStatistics = false;
  #settingsText = '';

  private constructor(
    readonly tokenizer: Tokenizer,
    parts: {
      readonly model: Model;
      readonly folder: string;
      readonly request: WorkshopRequest;
      readonly sequences: readonly (readonly number[])[];
    },
  ) {
    this.#model = parts.model;
    this.#folder = parts.folder;
    this.#request = parts.request;
    this.#sequences = parts.sequences;
  }

  static async open(given: WorkshopRequest): Promise<Workshop> {
    const model = await loadModel(given.modelDirectory);
    const tokenizer = await loadTokenizer(given.modelDirectory);
    const folder = await mkdtemp(join(tmpdir(), 'hookline-use-'));
    const request = { ...given };
    if (given.heldOut === undefined) {
      const { beginning, end } = splitText(await readFile(given.corpus, 'utf8'), heldOutCharacters);
      request.corpus = join(folder, 'corpus.txt');
      request.heldOut = join(folder, 'held-out.txt');
      await writeFile(request.corpus, beginning);
      await writeFile(request.heldOut, end);
    }
    const sequences = await heldOutSequences(request.heldOut, { model, tokenizer }, heldOutTokens.evaluation);
    return new Workshop(tokenizer, { model, folder, request, sequences });
  }

  /** Writes batches as consecutive rounds, and publishes each as it came out. */
  async write(what: string, batches: readonly (readonly EditInput[])[]): Promise<Written> {
    const { say } = this.#request;
    const rounds = batches.map((batch) => batch.map(completeEdit));
    const session = await this.#session();
    const outcomes: RoundOutcome[] = [];
    const searchCpuSeconds: number[] = [];
    let steps: number[] = [];
    const onProgress = ({ stage }: Progress) => {
      if (stage === 'values') steps.push(cpuSeconds());
    };
    try {
      for await (const outcome of session.edit(rounds, {}, { onProgress })) {
        outcomes.push(outcome);
        searchCpuSeconds.push((steps.at(-1) ?? Number.NaN) - steps[0]);
        steps = [];
        const { secondsForValues } = outcome.metrics;
        say(`${what}: round ${outcomes.length} of ${rounds.length} written, values ${secondsForValues.toFixed(1)} s`);
        for (const { id, reason } of outcome.rejectedEdits) say(`${what}: ${id} is not written: ${reason}`);
      }
      const { hooks, manifest } = await loadVersionHooks(session.store, session.modelId);
      const model = await this.#compile(manifest.layers, manifest.gate.kind);
      return { rounds, outcomes, searchCpuSeconds, model, hooks, tokenizer: this.tokenizer };
    } finally {
      await session.close();
    }
  }

  /** Greedy answers to prompts, by the edited model or by its base. */
  async answers(
    { model, hooks, tokenizer }: Written,
    prompts: readonly string[],
    { maxTokens, by = 'edited' }: { readonly maxTokens: number; readonly by?: 'edited' | 'base' },
  ): Promise<Answer[]> {
    const ids = prompts.map((prompt) => tokenizer.encode(prompt).ids);
    const answers = await model.generate(ids, {
      maxTokens,
      stopIds: tokenizer.eosIds,
      ...(by === 'edited' && { hooks }),
    });
    return answers.map(({ tokenIds }) => ({ tokenIds, text: tokenizer.decode(tokenIds) }));
  }

  /** Tells some of the answers that are not as they should be. */
  tellMisses(what: string, prompts: readonly string[], answers: readonly Answer[], isRight: readonly boolean[]): void {
    const misses = prompts.flatMap((prompt, p) => (isRight[p] ? [] : [{ prompt, text: answers[p].text }]));
    for (const { prompt, text } of misses.slice(0, toldMisses)) {
      this.#request.say(`${what}, missed: ${JSON.stringify(prompt)} -> ${JSON.stringify(text)}`);
    }
  }

  /** By how many percent the perplexity on the held-out text is above the base model's. */
  async addedPerplexity({ model, hooks }: Written): Promise<number> {
    const { drift } = await measureDrift(model, this.#sequences, hooks);
    return 100 * (drift.perplexityRatio - 1);
  }

  /** The settings of what was written, in words; nothing before that. */
  get settingsText(): string {
    return this.#settingsText;
  }

  /** Frees the models and removes the texts. */
  async dispose(): Promise<void> {
    for (const model of await Promise.all(this.#compiled.values())) await model.dispose();
    this.#compiled.clear();
    await rm(this.#folder, { recursive: true });
  }

  /** A session on a store that holds nothing but key statistics, which outlast the workshop. */
  async #session(): Promise<EditSession> {
    const { modelDirectory, corpus, settings, statistics, say } = this.#request;
    const store = new MemoryObjectStore();
    await copy(statistics, store);
    if (!this.#knowsStatistics) say(`key statistics of ${modelDirectory}, unless they are known`);
    const session = await openEditSession({
      store,
      modelDirectory,
      modelId,
      settings,
      corpusPath: corpus,
      criteria: null,
    });
    if (!this.#knowsStatistics) await copy(store, statistics);
    this.#knowsStatistics = true;
    const { layers, gate, steps } = session.settings;
    this.#settingsText = `layers ${layers.join(', ')}, gate ${gate}, ${steps} steps at most`;
    return session;
  }

  #compile(
    layers: readonly number[],
    gate: Parameters<typeof HookableModel.compile>[1]['gate'],
  ): Promise<HookableModel> {
    const name = `${gate} ${layers.join(',')}`;
    const compiled = this.#compiled.get(name) ?? HookableModel.compile(this.#model, { layers, gate });
    this.#compiled.set(name, compiled);
    return compiled;
  }
}

/** Puts what one store holds into another. */
async function copy(from: ObjectStore, to: ObjectStore): Promise<void> {
  for (const key of await from.list('')) {
    if ((await to.head(key)) === undefined) await to.put(key, (await from.get(key)).bytes);
  }
}
