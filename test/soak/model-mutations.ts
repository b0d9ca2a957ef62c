/** @file Small models of every architecture, each changed in one way, from a seed. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensor, toBfloat16, toFloat16 } from '../../src/tensor/index.js';
import { projectFolder } from '../support/program-bundle.js';
import { uniform } from '../support/random-matrix.js';
import { type ModelParts, modelKinds, randomModel, writeModel } from '../support/random-model.js';

/** A model as it lies on disk, and what was done to it. */
export interface ModelCase {
  /** A model folder, or a `.gguf` file. */
  readonly path: string;
  /** Such as `llama`, or `GGUF qwen2`. */
  readonly base: string;
  readonly mutation: string;
}

/** Draws from lists and ranges. */
class Dice {
  readonly next: () => number;

  constructor(seed: number) {
    this.next = uniform(seed);
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

const nest = '['.repeat(10_000) + ']'.repeat(10_000);

/** Values that a field of JSON may have instead of its own. */
const values: readonly unknown[] = [
  ...[0, -1, 1, 2, 3, 5, 7, 16, 64, 512, 1.5, 0.25, 2 ** 31 - 1, 2 ** 40, 1e300, 1e-300, -1e-5],
  ...[null, true, false, '', 'x', 'silu', 'gelu', 'linear', 'constructor', '__proto__', '2'],
  ...[[], [0], ['full_attention'], [[]], {}, { a: 1 }, { rope_type: 'yarn', factor: 2 }, { type: 'linear', factor: 2 }],
];

/** Fields that configs of some architecture have. */
const fields: readonly string[] = [
  ...['attention_bias', 'mlp_bias', 'head_dim', 'hidden_act', 'layer_types', 'logit_scale', 'max_position_embeddings'],
  ...['n_inner', 'num_experts', 'partial_rotary_factor', 'quantization_config', 'residual_multiplier', 'rms_norm_eps'],
  ...['rope_parameters', 'rope_scaling', 'rope_theta', 'rotary', 'rotary_dim', 'rotary_emb_base', 'rotary_pct'],
  ...['scale_attn_by_inverse_layer_idx', 'sliding_window', 'tie_word_embeddings', 'use_parallel_residual'],
  ...['use_sliding_window', 'vocab_size', 'eos_token_id', 'bos_token_id', 'torch_dtype', 'model_type'],
];

type Change = (parts: ModelParts, dice: Dice) => void;

/** Changes of the parts, before they are written. */
const partChanges: Readonly<Record<string, Change>> = {
  nothing: () => undefined,
  'config: another value': ({ config }, dice) => {
    config[dice.pick(Object.keys(config))] = dice.pick(values);
  },
  'config: another field': ({ config }, dice) => {
    config[dice.pick(fields)] = dice.pick(values);
  },
  'config: a field less': ({ config }, dice) => {
    delete config[dice.pick(Object.keys(config))];
  },
  'config: another architecture': ({ config }, dice) => {
    config.model_type = dice.pick(['llama', 'mistral', 'qwen2', 'qwen3', 'gpt2', 'gptj', 'gpt_neox', 'mamba', 'gemma']);
  },
  'tensor: missing': ({ tensors }, dice) => {
    tensors.delete(dice.pick([...tensors.keys()]));
  },
  'tensor: renamed': ({ tensors }, dice) => {
    const name = dice.pick([...tensors.keys()]);
    const renamed = dice.pick([`${name}s`, name.replace(/\d/, '7'), name.replace('weight', 'qweight'), `x.${name}`]);
    tensors.set(renamed, tensors.get(name)!);
    if (renamed !== name) tensors.delete(name);
  },
  'tensor: left over': ({ tensors }, dice) => {
    const name = dice.pick([...tensors.keys()]);
    const bases = ['scales', 'bias', 'g_idx', 'weight_scale', 'lora_A.weight', 'rotary_emb.inv_freq', 'masked_bias'];
    tensors.set(name.replace(/(weight|bias)$/, dice.pick(bases)), tensor('float32', [2], new Float32Array(2)));
  },
  'tensor: another shape': ({ tensors }, dice) => {
    const name = dice.pick([...tensors.keys()]);
    const { shape } = tensors.get(name)!;
    const others = [shape.toReversed(), [...shape, 1], [...shape.slice(0, -1), shape.at(-1)! + 1], [0, ...shape]];
    const other = dice.pick(others);
    const count = other.reduce((product, size) => product * size, 1);
    tensors.set(name, tensor('float32', other, new Float32Array(count).fill(0.1)));
  },
  'tensor: another type': ({ tensors }, dice) => {
    const name = dice.pick([...tensors.keys()]);
    const { shape, data } = tensors.get(name) as Tensor<'float32'>;
    const others: readonly (() => Tensor)[] = [
      () => tensor('float16', shape, toFloat16(data)),
      () => tensor('bfloat16', shape, toBfloat16(data)),
      () => tensor('float64', shape, Float64Array.from(data)),
      () => tensor('int8', shape, Int8Array.from(data)),
      () =>
        tensor(
          'int64',
          shape,
          BigInt64Array.from(data, () => 1n),
        ),
    ];
    tensors.set(name, dice.pick(others)());
  },
  'tensor: not a number': setElement([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]),
  'tensor: a large number': setElement([1e6, -1e12, 1e20, -1e30, 3e38]),
  'tensor: all the same': ({ tensors }, dice) => {
    const name = dice.pick([...tensors.keys()]);
    const { shape, data } = tensors.get(name) as Tensor<'float32'>;
    tensors.set(
      name,
      tensor(
        'float32',
        shape,
        data.map(() => dice.pick([0, 1, -1])),
      ),
    );
  },
  'tokenizer: of another model': (parts, dice) => {
    Object.assign(parts, {
      tokenizer: dice.pick(['gpt2', 'llama2', 'llama3', 'metaspace-always', 'qwen2', 'smollm2']),
    });
  },
};

function setElement(choice: readonly number[]): Change {
  return ({ tensors }, dice) => {
    const { data } = tensors.get(dice.pick([...tensors.keys()])) as Tensor<'float32'>;
    data[dice.below(data.length)] = dice.pick(choice);
  };
}

/** Changes of a folder's files. */
const fileChanges: Readonly<Record<string, (folder: string, dice: Dice) => void>> = {
  'config: damaged': (folder, dice) => damage(join(folder, 'config.json'), dice),
  'config: nested deep': (folder) => {
    const path = join(folder, 'config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('{', `{"rope_scaling":${nest},`));
  },
  'weights: damaged header': (folder, dice) => {
    const path = join(folder, 'model.safetensors');
    const bytes = readFileSync(path);
    const end = 8 + Number(bytes.readBigUInt64LE());
    for (let flips = 1 + dice.below(3); flips > 0; flips--) bytes[dice.below(end)] ^= 1 << dice.below(8);
    writeFileSync(path, bytes);
  },
  'weights: another header': (folder, dice) => {
    const path = join(folder, 'model.safetensors');
    const bytes = readFileSync(path);
    const end = 8 + Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, end).toString('utf8'));
    const changedValue = dice.pick(values);
    const entry = header[dice.pick(Object.keys(header))];
    const text = JSON.stringify(header);
    const field = dice.pick(['dtype', 'shape', 'data_offsets']);
    entry[field] = dice.pick([changedValue, 'F64', [1, 2], [0, 2 ** 53], [-1, 4]]);
    const other = dice.pick([JSON.stringify(header), text.slice(0, -1), `${text}x`, `[${text}]`, `{"a":${nest}}`]);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(other.length));
    writeFileSync(path, Buffer.concat([length, Buffer.from(other), bytes.subarray(end)]));
  },
  'weights: cut or longer': (folder, dice) => {
    const path = join(folder, 'model.safetensors');
    const bytes = readFileSync(path);
    const rest = dice.pick([bytes.subarray(0, dice.below(bytes.length)), Buffer.concat([bytes, Buffer.alloc(8)])]);
    writeFileSync(path, rest);
  },
  'weights: an index': (folder, dice) => {
    const files = dice.pick([['model.safetensors'], ['../model.safetensors'], ['none.safetensors'], [7], []]);
    const index = dice.pick([{ weight_map: Object.fromEntries(files.map((file) => ['a', file])) }, {}, [], nest]);
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
    if (dice.next() < 0.5) writeFileSync(join(folder, 'model.safetensors'), '');
  },
  'tokenizer: damaged': (folder, dice) => damage(join(folder, 'tokenizer.json'), dice),
  'tokenizer: another value': (folder, dice) => changeInside(join(folder, 'tokenizer.json'), dice),
  'tokenizer config: another value': (folder, dice) => {
    const settings = { eos_token: '<|endoftext|>', bos_token: null, eos_token_id: 0, bos_token_id: [1] };
    const path = join(folder, dice.pick(['tokenizer_config.json', 'generation_config.json']));
    writeFileSync(path, JSON.stringify({ ...settings, [dice.pick(Object.keys(settings))]: dice.pick(values) }));
  },
};

/** Flips a bit, cuts, or repeats a part. */
function damage(path: string, dice: Dice): void {
  const bytes = readFileSync(path);
  const at = dice.below(bytes.length);
  const flipped = Buffer.from(bytes);
  flipped[at] ^= 1 << dice.below(8);
  writeFileSync(path, dice.pick([flipped, bytes.subarray(0, at), Buffer.concat([bytes, bytes.subarray(at)])]));
}

/** Replaces or removes a value somewhere in a JSON file; patterns are left alone, since they have a mutation of their own. */
function changeInside(path: string, dice: Dice): void {
  const whole = JSON.parse(readFileSync(path, 'utf8'));
  let place = whole;
  for (;;) {
    const keys = Object.keys(place).filter((key) => key !== 'Regex');
    const key = dice.pick(keys.length > 50 ? [...keys.slice(0, 5), ...keys.slice(-5)] : keys);
    if (key === undefined) break;
    const inner = place[key];
    if (typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0 && dice.next() < 0.8) {
      place = inner;
      continue;
    }
    if (dice.next() < 0.2) delete place[key];
    else place[key] = dice.pick([...values, 'Split', 'ByteLevel', 'Replace', 'Sequence', 'BPE', 'Unigram', 'NFC']);
    break;
  }
  writeFileSync(path, JSON.stringify(whole));
}

/** Patterns that take long on some texts, or are none. */
const patterns = [
  '(a+)+$',
  '(\\w+\\s?)+$',
  '(',
  '[',
  '(?<!a',
  '\\p{Nonsense}',
  '(?i:x)',
  '',
  '.*',
  '((((((((a*)*)*)*)*)*)*)*)',
];

function changePattern(folder: string, dice: Dice): void {
  const path = join(folder, 'tokenizer.json');
  const definition = JSON.parse(readFileSync(path, 'utf8'));
  const split = { type: 'Split', pattern: { Regex: dice.pick(patterns) }, behavior: 'Isolated', invert: false };
  const pretokenizers = [
    split,
    ...(definition.pre_tokenizer?.pretokenizers ?? [definition.pre_tokenizer ?? []].flat()),
  ];
  definition.pre_tokenizer = { type: 'Sequence', pretokenizers };
  writeFileSync(path, JSON.stringify(definition));
}

const ggufFolder = join(projectFolder, 'test/golden/gguf');
const ggufs = readdirSync(ggufFolder, { withFileTypes: true }).filter((entry) => entry.isDirectory());

/** Changes of a GGUF file: its header, sizes in its metadata, its length. */
const ggufChanges: Readonly<Record<string, (bytes: Buffer, dice: Dice) => Buffer>> = {
  'GGUF: nothing': (bytes) => bytes,
  'GGUF: another size': (bytes, dice) => {
    const keys = [
      '.block_count',
      '.embedding_length',
      '.feed_forward_length',
      '.context_length',
      '.attention.head_count',
    ];
    const key = dice.pick([...keys, '.rope.dimension_count', '.vocab_size']);
    const at = bytes.indexOf(key);
    if (at >= 0) bytes.writeUInt32LE(dice.pick([0, 1, 3, 5, 7, 33, 4096, 0x7fffffff, 0xffffffff]), at + key.length + 4);
    return bytes;
  },
  'GGUF: damaged header': (bytes, dice) => {
    // Names of tensors end the header.
    const end = bytes.lastIndexOf('.weight') + 40;
    for (let flips = 1 + dice.below(3); flips > 0; flips--) bytes[dice.below(end)] ^= 1 << dice.below(8);
    return bytes;
  },
  'GGUF: damaged tensors': (bytes, dice) => {
    for (let flips = 0; flips < 20; flips++) bytes[bytes.length - 1 - dice.below(20_000)] = 0xff;
    return bytes;
  },
  'GGUF: cut': (bytes, dice) => bytes.subarray(0, dice.below(bytes.length)),
};

/** Every kind of change. */
export const mutations: readonly string[] = [
  ...Object.keys(partChanges),
  ...Object.keys(fileChanges),
  ...Object.keys(ggufChanges),
  'patterns',
];

/** Writes a model that is changed in one way, which the seed decides, into a folder. */
export function writeCase(folder: string, mutation: string, seed: number): ModelCase {
  const dice = new Dice(seed);
  mkdirSync(folder, { recursive: true });
  if (Object.hasOwn(ggufChanges, mutation)) {
    const { name } = dice.pick(ggufs);
    const path = join(folder, 'model.gguf');
    writeFileSync(path, ggufChanges[mutation](readFileSync(join(ggufFolder, name, 'model.gguf')), dice));
    return { path, base: `GGUF ${name}`, mutation };
  }
  const base = dice.pick(modelKinds);
  const parts = randomModel(base, seed);
  partChanges[mutation]?.(parts, dice);
  const path = writeModel(join(folder, 'model'), parts);
  fileChanges[mutation]?.(path, dice);
  if (mutation === 'patterns') changePattern(path, dice);
  return { path, base, mutation };
}
