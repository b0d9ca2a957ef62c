import { DigestMismatchError, InvalidInputError } from '../errors.js';
import { type Encoding, type Model, modelDigest, openModel, PromptEncoder, type Tokenizer } from '../model/index.js';
import type { PulledVersion } from '../registry/index.js';
import type { Device } from '../runtime/index.js';
import type { Tensor } from '../tensor/index.js';
import { type Firing, firingOf } from './firing.js';
import type { FinishReason, Generated } from './growing-sequence.js';
import { HookableModel } from './hookable-model.js';
import type { SamplingOptions } from './sampling.js';
import { TextPieces } from './text-pieces.js';
import { type VersionHooks, versionHooks } from './version-hooks.js';

/** What is to be completed, by which version, and how. */
export interface CompletionRequest extends SamplingOptions {
  /** Text, or its tokens. */
  readonly prompt: string | readonly number[];
  /** Most new tokens. */
  readonly maxTokens: number;
  /** Texts that end the completion; they are not part of it. */
  readonly stop?: readonly string[];
  /** By default the version that is current at the time of the call. */
  readonly version?: VersionHooks | 'base';
  /** Ends the completion with what there is. */
  readonly signal?: AbortSignal;
}

/** A completed prompt. */
export interface Completion {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly promptTokens: number;
  readonly finishReason: FinishReason;
  /** The version that answered, from the first token to the last; null for the base model. */
  readonly version: number | null;
  readonly modelId: string | null;
  /** Whose edits fired on the prompt and on the new tokens, where, and how strongly. */
  readonly firings: readonly Firing[];
}

/** Where the model runs. */
export interface LoadOptions {
  /** The CPU by default. */
  readonly device?: Device;
}

/**
 * A base model with published versions: text in, text out. It can hold any number of versions at the same time, also of
 * several model ids on the same base model. One of them answers a request, from the first token to the last.
 *
 * @example
 * import { EditedModel, ModelVersions, openStore, watchVersions } from 'hookline';
 * const versions = new ModelVersions({ store: openStore('s3://my-bucket'), modelId: 'smollm2' });
 * const edited = await EditedModel.load('./SmolLM2-135M', await versions.pull());
 * console.log((await edited.complete({ prompt: 'The Eiffel Tower is in', maxTokens: 10 })).text);
 * await watchVersions(versions, {
 *   onVersion: async (pulled) => edited.switchTo(await edited.prepare(pulled)),
 *   onError: (error) => console.warn(error),
 * });
 */
export class EditedModel {
  readonly #engines = new Map<string, Promise<HookableModel>>();
  #current: VersionHooks | undefined;
  readonly #encoder: PromptEncoder;
  readonly #options: LoadOptions;

  private constructor(
    directory: string,
    readonly model: Model,
    readonly tokenizer: Tokenizer,
    /** SHA-256 of the base model. */
    readonly modelDigest: string,
    options: LoadOptions,
  ) {
    this.#options = options;
    this.#encoder = new PromptEncoder(directory, tokenizer, model.config.maxTokens);
  }

  /**
   * Opens a Hugging Face model directory, and makes a pulled version current.
   *
   * @param artifact undefined: the base model until {@link switchTo}
   * @throws {DigestMismatchError} if the version is for another base model
   */
  static async load(directory: string, artifact?: PulledVersion, options: LoadOptions = {}): Promise<EditedModel> {
    const { model, tokenizer } = await openModel(directory);
    const edited = new EditedModel(directory, model, tokenizer, await modelDigest(model), options);
    if (artifact === undefined) await edited.#engineOf(undefined);
    else edited.switchTo(await edited.prepare(artifact));
    return edited;
  }

  /** The version that answers requests which name none; undefined is the base model. */
  get current(): VersionHooks | undefined {
    return this.#current;
  }

  /**
   * Makes a version ready to answer. It answers requests that name it, and after {@link switchTo} those that name none.
   * A version with the layers and gate of an earlier one needs no compilation. If it continues a held version, only its
   * new segments are read.
   *
   * @param held an earlier version of the same model id, if there is one; by default the current version
   * @throws {DigestMismatchError} if it is for another base model
   * @throws {MalformedFileError} if its files are not those of a version
   */
  async prepare(artifact: PulledVersion, held: VersionHooks | undefined = this.#current): Promise<VersionHooks> {
    const { modelId, version, modelDigest: expected } = artifact.manifest;
    if (expected !== this.modelDigest) {
      throw new DigestMismatchError(`base model of ${modelId} version ${version}`, expected, this.modelDigest);
    }
    const prepared = await versionHooks(artifact, { held });
    await this.#engineOf(prepared);
    return prepared;
  }

  /** From now on, requests that name no version get this one. Requests under way keep theirs. */
  switchTo(version: VersionHooks | undefined): void {
    this.#current = version;
  }

  /**
   * The tokens of a prompt. A long one is split in a thread, so that it does not hold up the event loop.
   *
   * @throws {InvalidInputError} if it has no tokens, or more than the model's context holds
   */
  encode(prompt: string, signal?: AbortSignal): Promise<Encoding> {
    return this.#encoder.encode(prompt, signal);
  }

  /** A whole completion, see {@link stream}. */
  async complete(request: CompletionRequest): Promise<Completion> {
    const pieces = this.stream(request);
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return value;
    }
  }

  /**
   * The text as it is generated, in pieces that are never taken back. The return value is the whole completion.
   * Requests at the same time are computed together. If the caller stops reading, the generation ends.
   *
   * @throws {InvalidInputError} if the prompt has no tokens or too many, or an option is out of range
   */
  async *stream(request: CompletionRequest): AsyncGenerator<string, Completion> {
    const version = this.#versionOf(request);
    const engine = await this.#engineOf(version);
    const promptIds = await this.#promptIds(request.prompt, request.signal);
    const stop = request.stop ?? [];
    if (stop.includes('')) throw new InvalidInputError('stop', 'texts of at least one character', 'an empty one');
    const pieces = new TextPieces(this.tokenizer, promptIds, stop);
    const abort = new AbortController();
    const outlet = new Outlet();
    const { maxTokens, signal } = request;
    const generation = engine.decode(promptIds, {
      ...samplingOf(request),
      maxTokens,
      stopIds: this.tokenizer.eosIds,
      signal: signal ? AbortSignal.any([signal, abort.signal]) : abort.signal,
      onToken: (tokenId) => {
        outlet.put(pieces.push(tokenId));
        return !pieces.isStopped;
      },
      ...(version && { hooks: version.hooks }),
    });
    const ended = generation.then(() => outlet.put(pieces.end())).finally(() => outlet.close());
    // The reader gets the failure when it awaits the generation itself.
    ended.catch(() => undefined);
    let text = '';
    try {
      for await (const piece of outlet) {
        text += piece;
        yield piece;
      }
      return this.#completion(text, promptIds, await generation, version);
    } finally {
      abort.abort();
    }
  }

  /**
   * Logits after every token of a prompt.
   *
   * @returns float32 [tokens, vocab]
   */
  async logits({ prompt, version }: Pick<CompletionRequest, 'prompt' | 'version'>): Promise<Tensor<'float32'>> {
    const asked = this.#versionOf({ ...(version && { version }) });
    const engine = await this.#engineOf(asked);
    const [logits] = await engine.logits([await this.#promptIds(prompt)], asked?.hooks);
    return logits;
  }

  /** Frees everything; a second call does nothing. */
  async dispose(): Promise<void> {
    const engines = [...this.#engines.values()];
    this.#engines.clear();
    await this.#encoder.dispose();
    for (const engine of await Promise.all(engines)) await engine.dispose();
  }

  #versionOf({ version }: Pick<CompletionRequest, 'version'>): VersionHooks | undefined {
    return version === 'base' ? undefined : (version ?? this.#current);
  }

  async #promptIds(prompt: string | readonly number[], signal?: AbortSignal): Promise<readonly number[]> {
    return typeof prompt === 'string' ? (await this.encode(prompt, signal)).ids : prompt;
  }

  /**
   * The compiled model of a version. The base model uses that of the current version, so that its arithmetic is the
   * same.
   */
  #engineOf(version: VersionHooks | undefined): Promise<HookableModel> {
    const { layers, gate } = (version ?? this.#current)?.manifest ?? { layers: [], gate: { kind: 'key' as const } };
    const signature = `${gate.kind} ${layers.join(',')}`;
    const { device } = this.#options;
    const engine =
      this.#engines.get(signature) ??
      HookableModel.compile(this.model, { layers, gate: gate.kind, ...(device && { device }) });
    this.#engines.set(signature, engine);
    return engine;
  }

  #completion(
    text: string,
    promptIds: readonly number[],
    { tokenIds, finishReason, firings: found }: Generated,
    version: VersionHooks | undefined,
  ): Completion {
    const all = [...promptIds, ...tokenIds];
    const { modelId = null, version: number = null } = version?.manifest ?? {};
    const firings = found.map((firing) => firingOf(firing, all, this.tokenizer, version?.rowEdits ?? []));
    return { text, tokenIds, promptTokens: promptIds.length, finishReason, version: number, modelId, firings };
  }
}

function samplingOf({ temperature, topK, topP, seed }: CompletionRequest): SamplingOptions {
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(seed !== undefined && { seed }),
  };
}

/** A queue of pieces of text between their writer and their reader. Empty pieces are left out. */
class Outlet implements AsyncIterable<string> {
  #pieces: string[] = [];
  #isClosed = false;
  #wake: (() => void) | undefined;

  put(piece: string): void {
    if (piece !== '') this.#pieces.push(piece);
    this.#wake?.();
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      yield* this.#pieces.splice(0);
      if (this.#pieces.length > 0) continue;
      if (this.#isClosed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
