import type { Graph, Value } from '../../graph/index.js';
import type { ConfigReader, ModelConfig } from './config.js';
import type { FieldNames } from './harmless-fields.js';
import type { Packing } from './packing.js';
import type { Weights } from './weights.js';

/**
 * The named places of a block at which a graph can be tapped or changed, the same for every architecture:
 * - `attention.keys`, `attention.values`: [rows, keyValueHeads * dHead], keys after rotation;
 * - `mlp.inner`: the down-projection's input, the editing method's *key*, [rows, dInner];
 * - `mlp.out`: the down-projection's output with its bias, the *value*, [rows, dModel];
 * - `block.out`: the residual stream after the block, [rows, dModel].
 */
export type Site = 'attention.keys' | 'attention.values' | 'mlp.inner' | 'mlp.out' | 'block.out';

/** Called at every site. Its result replaces the value. */
export type SiteVisitor = (site: Site, layer: number, value: Value) => Value;

/** Keys and values of earlier tokens for one layer, each [batch, past, keyValueHeads * dHead]. */
export interface PastKeysValues {
  readonly keys: Value;
  readonly values: Value;
}

/** What a block needs beside its input. */
export interface BlockContext {
  readonly graph: Graph;
  readonly config: ModelConfig;
  readonly layer: number;
  readonly packing: Packing;
  /** The weight of this name, without the checkpoint's prefix. */
  readonly weight: (name: string) => Value;
  readonly site: (site: Site, value: Value) => Value;
  readonly past?: PastKeysValues;
}

/**
 * How a checkpoint stores the matrix of a linear layer `y = x Wᵀ`: `out-in` is W as [out, in] (torch Linear),
 * `in-out` its transpose (GPT-2's Conv1D). Declared by the architecture, never guessed from shapes.
 */
export type WeightLayout = 'out-in' | 'in-out';

/** Name and layout of a matrix in the checkpoint. */
export interface WeightPlace {
  readonly name: string;
  readonly layout: WeightLayout;
}

/** Shapes of tensors by their names. */
export type TensorShapes = Readonly<Record<string, readonly number[]>>;

/** Every tensor that the graphs of a model use. */
export interface ModelTensors {
  /** Outside the blocks, without the checkpoint's prefix. */
  readonly trunk: TensorShapes;
  /** Of each block, without the checkpoint's prefix and the block's. */
  readonly block: TensorShapes;
  /** Under their full names. */
  readonly head: TensorShapes;
}

/** One family of decoders as graphs. */
export interface Architecture {
  /** Values of `model_type` that this architecture covers. */
  readonly modelTypes: readonly string[];
  /** Prefixes that checkpoints put before the weight names; the first whose `embedding` exists is used. */
  readonly prefixes: readonly string[];
  /** The matrix of token embeddings. */
  readonly embedding: string;
  /** The output matrix, under its full name. Where embeddings are tied, a checkpoint may repeat the embedding here. */
  readonly output: string;
  /** What is before a block's number in the names of its tensors: `layers` or `h`. */
  readonly blocks: string;
  /** Tensors that some checkpoints have and no graph needs, without the checkpoint's prefix. */
  readonly unusedTensors?: RegExp;
  /** Fields beside those of every architecture that say nothing about the logits. */
  readonly harmlessFields?: FieldNames;
  /** Reads every field that the logits hang on. Fields that are left unread are refused unless they are harmless. */
  readConfig(config: ConfigReader): ModelConfig;
  tensors(config: ModelConfig): ModelTensors;
  /** The matrix W [dModel, dInner] of a layer's down-projection. */
  downProjection(layer: number): WeightPlace;
  /** [rows] ids and positions -> [rows, dModel] */
  embed(context: ModelContext, tokenIds: Value): Value;
  /** [rows, dModel] -> [rows, dModel] */
  block(context: BlockContext, hidden: Value): Value;
  /** Final norm and vocabulary projection, [n, dModel] -> [n, vocab]. */
  head(context: ModelContext, hidden: Value): Value;
}

/** What embedding and head need. */
export interface ModelContext {
  readonly graph: Graph;
  readonly config: ModelConfig;
  readonly packing?: Packing;
  readonly weight: (name: string) => Value;
  readonly weights: Weights;
}
