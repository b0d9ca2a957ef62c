/** @file Whether a checkpoint holds exactly the tensors that the graphs of its model use. */
import { InvalidInputError } from '../../errors.js';
import { type Dtype, elementCount } from '../../tensor/index.js';
import type { Architecture } from './architecture.js';
import type { ModelConfig } from './config.js';

/** The tensors of a checkpoint, under the names of Hugging Face. */
export interface Checkpoint {
  /** What it is, for messages: `weights in ./model`. */
  readonly what: string;
  readonly tensors: ReadonlyMap<string, { readonly dtype: Dtype; readonly shape: readonly number[] }>;
  /** What the architecture's names have before them here. */
  readonly prefix: string;
  /** The name that the checkpoint itself has for a tensor, and the file it is in if there are several. */
  shown(name: string): string;
}

/** Types that weights are read from. */
export const weightDtypes: readonly Dtype[] = ['float32', 'float16', 'bfloat16', 'float64'];

/** Names that quantised checkpoints of GPTQ, AWQ, bitsandbytes, compressed-tensors, FP8 and MLX have. */
const quantised =
  /[._](qweight|qzeros|scales|biases|g_idx|weight_(scale|scale_inv|packed|shape|zero_point|format)|input_scale|[kv]_scale|SCB|absmax|quant_(map|state)[^.]*|nested_(absmax|quant_map))$|\.quant_state\./;

/**
 * Every tensor that the graphs use has to be there in its shape, and no other, but for those that are known to say
 * nothing.
 *
 * @throws {InvalidInputError} naming a tensor that is missing, left over, quantised, or of another shape or type
 */
export function checkTensors(checkpoint: Checkpoint, architecture: Architecture, config: ModelConfig): void {
  const expected = expectedTensors(architecture, config, checkpoint.prefix);
  requireUnquantised(checkpoint, expected);
  requirePresent(checkpoint, expected);
  for (const [name, shape] of expected) requireForm(checkpoint, name, shape);
  requireNoOther(checkpoint, expected, architecture, config);
}

/** Full names and shapes of all tensors that the graphs use. */
function expectedTensors(
  architecture: Architecture,
  config: ModelConfig,
  prefix: string,
): Map<string, readonly number[]> {
  const { trunk, block, head } = architecture.tensors(config);
  const expected = new Map(Object.entries(head));
  for (const [name, shape] of Object.entries(trunk)) expected.set(prefix + name, shape);
  for (let layer = 0; layer < config.layers; layer++) {
    for (const [name, shape] of Object.entries(block)) {
      expected.set(`${prefix}${architecture.blocks}.${layer}.${name}`, shape);
    }
  }
  return expected;
}

function requireUnquantised(checkpoint: Checkpoint, expected: ReadonlyMap<string, unknown>): void {
  const { what, tensors } = checkpoint;
  const name = [...tensors.keys()].find((candidate) => !expected.has(candidate) && quantised.test(candidate));
  if (name !== undefined) {
    throw new InvalidInputError(
      what,
      'weights of float32, float16 or bfloat16',
      `the quantised ${checkpoint.shown(name)}`,
    );
  }
}

function requirePresent(checkpoint: Checkpoint, expected: ReadonlyMap<string, readonly number[]>): void {
  const { what, tensors } = checkpoint;
  const missing = [...expected.keys()].filter((name) => !tensors.has(name));
  if (missing.length === 0) return;
  const [first] = missing;
  const others = missing.length === 1 ? '' : `, nor ${missing.length - 1} others`;
  throw new InvalidInputError(
    what,
    `a tensor ${checkpoint.shown(first)} of [${expected.get(first)!.join(', ')}]`,
    `none${others}`,
  );
}

function requireForm(checkpoint: Checkpoint, name: string, shape: readonly number[]): void {
  const { what, tensors } = checkpoint;
  const found = tensors.get(name)!;
  if (weightDtypes.includes(found.dtype) && found.shape.join() === shape.join()) return;
  const requirement = `${checkpoint.shown(name)} of ${weightDtypes.slice(0, 3).join(', ')} [${shape.join(', ')}]`;
  throw new InvalidInputError(what, requirement, `${found.dtype} [${found.shape.join(', ')}]`);
}

function requireNoOther(
  checkpoint: Checkpoint,
  expected: ReadonlyMap<string, readonly number[]>,
  { output, unusedTensors, modelTypes }: Architecture,
  { tiedEmbeddings, vocab, dModel }: ModelConfig,
): void {
  const { what, tensors, prefix } = checkpoint;
  const isUnused = (name: string): boolean =>
    name.startsWith(prefix) && !!unusedTensors?.test(name.slice(prefix.length));
  const isRepeated = (name: string, count: number) => tiedEmbeddings && name === output && count === vocab * dModel;
  const others = [...tensors]
    .filter(([name, { shape }]) => !expected.has(name) && !isUnused(name) && !isRepeated(name, elementCount(shape)))
    .map(([name]) => name);
  if (others.length === 0) return;
  const more = others.length === 1 ? '' : ` and ${others.length - 1} others`;
  throw new InvalidInputError(what, `only tensors that ${modelTypes[0]} uses`, checkpoint.shown(others[0]) + more);
}
