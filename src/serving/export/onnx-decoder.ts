import { InvalidInputError } from '../../errors.js';
import { argMax, Graph, gatherElements, logSoftmax } from '../../graph/index.js';
import { type CompileOptions, compile, type ModelFile, openModelFile, type Program } from '../../runtime/index.js';
import { type Tensor, tensor, toFloat32 } from '../../tensor/index.js';
import { requirePositiveInteger } from '../check-requests.js';
import { type GateReading, readGates } from '../firings.js';
import { type Generated, GrowingSequence, type SequenceOptions } from '../growing-sequence.js';
import type { Score, ScoreRequest, SequenceProgress } from '../hookable-model.js';
import type { FixedModel } from '../measured-model.js';
import { OnnxCache } from './onnx-cache.js';
import { signalPrefix } from './onnx-hook.js';

const rowInputs = ['input_ids', 'attention_mask', 'position_ids'] as const;

/** The result of one run. */
interface Step extends GateReading {
  /** Float32 [tokens, vocab]. */
  readonly logits: Tensor<'float32'>;
  readonly cache: OnnxCache;
}

/**
 * A decoder with a cache of keys and values as common exporters write it, patched or not. It scores and decodes with
 * ONNX Runtime, one sequence at a time. Gates can be read if it was patched with `signals`.
 */
export class OnnxDecoder implements FixedModel {
  readonly #program: ModelFile;
  readonly #scorer: Program;
  /** Layers whose signals are outputs of the file. */
  readonly #layers: readonly number[];

  private constructor(program: ModelFile, scorer: Program, layers: readonly number[]) {
    this.#program = program;
    this.#scorer = scorer;
    this.#layers = layers;
  }

  /**
   * @throws {InvalidInputError} if its inputs and outputs are not those of an exported decoder
   * @throws {PermanentError} if ONNX Runtime cannot load it, {TransientError} if the device is out of memory
   */
  static async open(path: string, options: Pick<CompileOptions, 'device' | 'threads'> = {}): Promise<OnnxDecoder> {
    const program = await openModelFile(path, options);
    try {
      requireDecoder(path, program);
      return new OnnxDecoder(program, await compile(scoreGraph(), options), hookedLayers(program));
    } catch (error) {
      await program.dispose();
      throw error;
    }
  }

  /**
   * Teacher-forced scores, in the order of the requests.
   *
   * @throws {InvalidInputError} for an empty sequence, an id that is no token, or a `scoredFrom` out of range
   */
  async score(requests: readonly ScoreRequest[], _hooks?: undefined, onProgress?: SequenceProgress): Promise<Score[]> {
    requests.forEach(({ tokenIds, scoredFrom }, r) => {
      this.#checkTokens(`sequence ${r}`, tokenIds);
      if (Number.isInteger(scoredFrom) && scoredFrom >= 1 && scoredFrom <= tokenIds.length) return;
      throw new InvalidInputError(`scoredFrom of sequence ${r}`, `1 .. ${tokenIds.length}`, String(scoredFrom));
    });
    const scores: Score[] = [];
    for (const { tokenIds, scoredFrom } of requests) {
      const { logits, firings, strengths } = await this.#step(tokenIds, OnnxCache.empty(this.#program));
      const rated = await this.#rate(logits, scoredFrom - 1, tokenIds.slice(scoredFrom));
      scores.push({ ...rated, firings, strengths, isBase: false });
      onProgress?.(scores.length, requests.length);
    }
    return scores;
  }

  /**
   * Greedy decoding with the cache, in the order of the prompts.
   *
   * @throws {InvalidInputError} for an empty prompt, an id that is no token, or an option out of range
   */
  async generate(
    prompts: readonly (readonly number[])[],
    { maxTokens, stopIds = [] }: Pick<SequenceOptions, 'maxTokens' | 'stopIds'>,
  ): Promise<Generated[]> {
    prompts.forEach((tokenIds, p) => {
      this.#checkTokens(`prompt ${p}`, tokenIds);
    });
    requirePositiveInteger('maxTokens', maxTokens);
    const results: Generated[] = [];
    for (const prompt of prompts) {
      const sequence = new GrowingSequence(prompt, { maxTokens, stopIds }, Number.POSITIVE_INFINITY);
      results.push(await this.#decode(sequence));
    }
    return results;
  }

  /**
   * Logits of every position of each sequence, float32 [tokens, vocab].
   *
   * @throws {InvalidInputError} for an empty sequence or an id that is no token
   */
  async logits(sequences: readonly (readonly number[])[]): Promise<Tensor<'float32'>[]> {
    const results: Tensor<'float32'>[] = [];
    for (const [s, tokenIds] of sequences.entries()) {
      this.#checkTokens(`sequence ${s}`, tokenIds);
      results.push((await this.#step(tokenIds, OnnxCache.empty(this.#program))).logits);
    }
    return results;
  }

  /** Frees the sessions; a second call does nothing. */
  async dispose(): Promise<void> {
    await Promise.all([this.#program.dispose(), this.#scorer.dispose()]);
  }

  async #decode(sequence: GrowingSequence): Promise<Generated> {
    let cache = OnnxCache.empty(this.#program);
    while (sequence.finishReason === undefined) {
      const { tokenIds } = sequence.feed(true);
      const step = await this.#step(tokenIds, cache);
      cache = step.cache;
      sequence.hear(step.firings, true);
      const { argMaxIds } = await this.#rate(step.logits, tokenIds.length - 1, [0]);
      sequence.push(argMaxIds[0]!);
    }
    return sequence.result;
  }

  async #step(tokenIds: readonly number[], cache: OnnxCache): Promise<Step> {
    const past = cache.tokens;
    const outputs = await this.#program.run({ ...this.#rowFeeds(tokenIds, past), ...cache.feeds() });
    const { logits } = outputs;
    const [, tokens, vocab] = logits.shape as [number, number, number];
    return {
      logits: tensor('float32', [tokens, vocab], toFloat32(logits)),
      ...readGates(signalsOf(outputs), this.#layers, [{ past, length: tokens }])[0]!,
      cache: cache.grown(outputs, tokens),
    };
  }

  /** The inputs with one number for every new token, and the mask with one for every token so far. */
  #rowFeeds(tokenIds: readonly number[], past: number): Record<string, Tensor> {
    const numbers = {
      input_ids: tokenIds,
      attention_mask: new Array<number>(past + tokenIds.length).fill(1),
      position_ids: tokenIds.map((_, t) => past + t),
    };
    const inputs = this.#program.inputs.filter(({ name }) => isRowInput(name));
    return Object.fromEntries(
      inputs.map(({ name, dtype }) => {
        const row = numbers[name as keyof typeof numbers];
        const data = dtype === 'int32' ? Int32Array.from(row) : BigInt64Array.from(row, BigInt);
        return [name, tensor(dtype, [1, row.length], data)];
      }),
    );
  }

  /** The scores of these next tokens by the rows from `firstRow` on. */
  async #rate(logits: Tensor<'float32'>, firstRow: number, targetIds: readonly number[]) {
    const [, vocab] = logits.shape as [number, number];
    const rows = targetIds.length;
    if (rows === 0) return { logProbabilities: new Float32Array(0), argMaxIds: [] };
    const outputs = await this.#scorer.run({
      logits: tensor('float32', [rows, vocab], logits.data.subarray(firstRow * vocab, (firstRow + rows) * vocab)),
      targetIds: tensor('int64', [rows, 1], BigInt64Array.from(targetIds, BigInt)),
    });
    return {
      logProbabilities: outputs.logProbabilities.data as Float32Array,
      argMaxIds: Array.from(outputs.argMaxIds.data as BigInt64Array, Number),
    };
  }

  #checkTokens(what: string, tokenIds: readonly number[]): void {
    if (tokenIds.length === 0) throw new InvalidInputError(what, 'at least one token', 'none');
    const vocab = this.#program.outputs.find(({ name }) => name === 'logits')!.shape.at(-1);
    const limit = typeof vocab === 'number' ? vocab : Number.MAX_SAFE_INTEGER;
    const foreign = tokenIds.find((id) => !Number.isInteger(id) || id < 0 || id >= limit);
    if (foreign !== undefined) throw new InvalidInputError(what, `token ids of 0 .. ${limit - 1}`, String(foreign));
  }
}

function scoreGraph(): Graph {
  const graph = new Graph();
  const logits = graph.input('logits', 'float32', ['rows', 'vocab']);
  const targetIds = graph.input('targetIds', 'int64', ['rows', 1]);
  graph.output('logProbabilities', gatherElements(logSoftmax(logits), targetIds));
  graph.output('argMaxIds', argMax(logits));
  return graph;
}

const isRowInput = (name: string): boolean => rowInputs.some((known) => known === name);

function requireDecoder(path: string, { inputs, outputs }: ModelFile): void {
  const foreign = inputs.find(({ name }) => !isRowInput(name) && !name.startsWith('past_key_values.'));
  if (foreign !== undefined) {
    throw new InvalidInputError(path, `only the inputs ${rowInputs.join(', ')} and past_key_values`, foreign.name);
  }
  const lacks = (ports: ModelFile['inputs'], port: string) => ports.every(({ name }) => name !== port);
  if (lacks(inputs, 'input_ids')) throw new InvalidInputError(path, 'a decoder with the input input_ids', 'none');
  if (lacks(outputs, 'logits')) throw new InvalidInputError(path, 'a decoder with the output logits', 'none');
}

function hookedLayers({ outputs }: ModelFile): number[] {
  const ports = Object.keys(signalsOf(Object.fromEntries(outputs.map((port) => [port.name, port]))));
  return ports.flatMap((name) => (name.startsWith('open.') ? [Number(name.slice('open.'.length))] : []));
}

/** The outputs that are signals, under the names that {@link readGates} knows. */
function signalsOf<T>(outputs: Readonly<Record<string, T>>): Record<string, T> {
  const signals = Object.entries(outputs).filter(([name]) => name.startsWith(signalPrefix));
  return Object.fromEntries(signals.map(([name, value]) => [name.slice(signalPrefix.length), value]));
}
