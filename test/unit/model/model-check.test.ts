import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MalformedFileError, PermanentError, UnsupportedTensorTypeError } from '../../../src/errors.js';
import { Graph } from '../../../src/graph/index.js';
import { digestOfWeights } from '../../../src/model/blocks/weight-pass.js';
import { importGguf } from '../../../src/model/gguf/index.js';
import {
  declarePacking,
  embedTokens,
  loadModel,
  modelDigest,
  openModel,
  runBlocks,
  vocabularyLogits,
} from '../../../src/model/index.js';
import {
  encodeSafetensors,
  openSafetensors,
  type Tensor,
  tensor,
  toBfloat16,
  toFloat16,
} from '../../../src/tensor/index.js';
import { type ModelParts, modelKinds, randomModel, writeModel } from '../../support/random-model.js';

const folder = mkdtempSync(join(tmpdir(), 'hookline-model-check-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

let written = 0;
/** Writes a model, changed. @returns its folder */
function changed(kind: string, change: (parts: ModelParts) => void = () => {}): string {
  const parts = randomModel(kind);
  change(parts);
  return writeModel(join(folder, `model-${written++}`), parts);
}
const whole = async (directory: string) => modelDigest((await openModel(directory)).model);
const zeros = (...shape: number[]): Tensor =>
  tensor('float32', shape, new Float32Array(shape.reduce((product, size) => product * size, 1)));
const up = 'model.layers.1.mlp.up_proj.weight';

describe('a model of every architecture', () => {
  it.each(modelKinds)('%s uses every tensor that it asks for, and no other', async (kind) => {
    const { tensors } = randomModel(kind);
    const model = await loadModel(changed(kind));
    const used = new Set<string>();
    const weights = Object.create(model.weights, {
      location: {
        value: (name: string) => {
          used.add(model.weights.prefix + name);
          return model.weights.location(name);
        },
      },
      value: {
        value: (graph: Graph, name: string) => {
          used.add(name);
          return model.weights.value(graph, name);
        },
      },
    });
    const graph = new Graph();
    const packing = declarePacking(graph, model.config);
    const spied = { ...model, weights };
    const embedded = embedTokens(spied, packing, graph.input('tokenIds', 'int64', ['rows']));
    const blocks = { from: 0, to: model.config.layers };
    graph.output('logits', vocabularyLogits(spied, runBlocks(spied, packing, embedded, blocks)));
    expect([...used].sort()).toEqual([...tensors.keys()].sort());
  });

  it.each(modelKinds)('%s is refused where a tensor is missing, and named', async (kind) => {
    for (const missing of randomModel(kind).tensors.keys()) {
      const directory = changed(kind, ({ tensors }) => tensors.delete(missing));
      await expect(openModel(directory)).rejects.toThrow(`weights in ${directory}: a tensor ${missing} of [`);
    }
  });

  it.each(modelKinds)('%s is refused where a tensor is of another shape', async (kind) => {
    for (const [name, { shape }] of randomModel(kind).tensors) {
      const other = [...shape.slice(0, -1), shape.at(-1)! + 1];
      const directory = changed(kind, ({ tensors }) => tensors.set(name, zeros(...other)));
      const message = `${name} of float32, float16, bfloat16 [${shape.join(', ')}], got float32 [${other.join(', ')}]`;
      await expect(openModel(directory)).rejects.toThrow(message);
    }
  });
});

describe('a checkpoint with other tensors', () => {
  it.each([
    [
      'llama',
      'model.layers.0.self_attn.q_proj.bias',
      'only tensors that llama uses, got model.layers.0.self_attn.q_proj',
    ],
    ['llama', 'model.layers.2.input_layernorm.weight', 'only tensors that llama uses'],
    ['qwen2', 'model.layers.0.self_attn.o_proj.bias', 'only tensors that qwen2 uses'],
    ['gpt2', 'transformer.h.0.crossattention.c_attn.weight', 'only tensors that gpt2 uses'],
    ['gpt2', 'lm_head.weight', 'only tensors that gpt2 uses'],
    ['gptj', 'transformer.h.0.attn.q_proj.bias', 'only tensors that gptj uses'],
    ['llama', 'model.layers.0.mlp.experts.0.up_proj.weight', 'only tensors that llama uses'],
    ['llama', 'model.layers.0.mlp.up_proj.qweight', 'got the quantised model.layers.0.mlp.up_proj.qweight'],
    ['llama', 'model.layers.0.mlp.up_proj.weight_scale_inv', 'got the quantised'],
    ['gpt_neox', 'gpt_neox.layers.0.mlp.dense_h_to_4h.weight.quant_state.bitsandbytes__nf4', 'got the quantised'],
  ])('%s with %s is refused', async (kind, name, message) => {
    await expect(openModel(changed(kind, ({ tensors }) => tensors.set(name, zeros(3))))).rejects.toThrow(message);
  });

  it.each([
    ['llama', 'model.layers.0.self_attn.rotary_emb.inv_freq'],
    ['gpt2', 'transformer.h.0.attn.bias'],
    ['gptj', 'transformer.h.1.attn.masked_bias'],
    ['gpt_neox', 'gpt_neox.layers.0.attention.rotary_emb.inv_freq'],
    ['gpt_neox', 'gpt_neox.layers.1.attention.masked_bias'],
  ])('%s may have %s, whatever is in it', async (kind, name) => {
    const infinite = tensor('float32', [2], Float32Array.of(0, Number.NEGATIVE_INFINITY));
    await expect(whole(changed(kind, ({ tensors }) => tensors.set(name, infinite)))).resolves.toHaveLength(64);
  });

  it('is refused where the output matrix is tied and stored as another', async () => {
    const repeated = (change: (data: Float32Array) => void) =>
      changed('gpt2', ({ tensors }) => {
        const embedding = tensors.get('transformer.wte.weight') as Tensor<'float32'>;
        const data = embedding.data.slice();
        change(data);
        tensors.set('lm_head.weight', tensor('float32', embedding.shape, data));
      });
    await expect(whole(repeated(() => {}))).resolves.toHaveLength(64);
    const other = repeated((data) => {
      data[data.length - 1] += 1;
    });
    await expect(whole(other)).rejects.toThrow('the embedding again as lm_head.weight, which tie_word_embeddings says');
  });

  it('is refused where a tensor is in two files', async () => {
    const directory = changed('llama');
    const { tensors } = randomModel('llama');
    rmSync(join(directory, 'model.safetensors'));
    writeFileSync(join(directory, 'a.safetensors'), encodeSafetensors(tensors));
    writeFileSync(join(directory, 'b.safetensors'), encodeSafetensors([[up, tensors.get(up)!]]));
    const index = { weight_map: { [up]: 'a.safetensors', 'model.norm.weight': 'b.safetensors' } };
    writeFileSync(join(directory, 'model.safetensors.index.json'), JSON.stringify(index));
    await expect(openModel(directory)).rejects.toThrow(`tensor ${up} in one file, got it in several`);
  });

  it('names the file as it was given where a header is damaged, though it is a link', async () => {
    const directory = changed('llama');
    writeFileSync(join(folder, 'blob'), 'no header');
    rmSync(join(directory, 'model.safetensors'));
    symlinkSync(join(folder, 'blob'), join(directory, 'model.safetensors'));
    await expect(openModel(directory)).rejects.toThrow(MalformedFileError);
    await expect(openModel(directory)).rejects.toThrow(`${directory}/model.safetensors: a header of at most`);
  });

  it('names file and tensor where a type is unknown', async () => {
    const directory = changed('llama');
    const header = JSON.stringify({ [up]: { dtype: 'F8_E4M3', shape: [1], data_offsets: [0, 1] } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(join(directory, 'model.safetensors'), Buffer.concat([length, Buffer.from(`${header}x`)]));
    await expect(openModel(directory)).rejects.toThrow(UnsupportedTensorTypeError);
    await expect(openModel(directory)).rejects.toThrow(`${directory}/model.safetensors: type of tensor ${up}`);
  });
});

describe('a weight that is no number', () => {
  const set = (name: string, dtype: 'float32' | 'float16' | 'bfloat16' | 'float64', value: number, at: number) =>
    changed('llama', ({ tensors }) => {
      const { shape, data } = tensors.get(name) as Tensor<'float32'>;
      const values = data.slice();
      values[at] = value;
      const stored = {
        float32: () => tensor('float32', shape, values),
        float64: () => tensor('float64', shape, Float64Array.from(values)),
        float16: () => tensor('float16', shape, toFloat16(values)),
        bfloat16: () => tensor('bfloat16', shape, toBfloat16(values)),
      };
      tensors.set(name, stored[dtype]());
    });

  it.each(['float32', 'float16', 'bfloat16', 'float64'] as const)('of %s is found and named', async (dtype) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const [at, place] of [
        [0, '[0, 0]'],
        [17, '[1, 1]'],
        [383, '[23, 15]'],
      ] as const) {
        const directory = set(up, dtype, value, at);
        const message = `${directory}/model.safetensors: finite numbers in tensor ${up}, got ${value} at ${place}`;
        await expect(whole(directory)).rejects.toThrow(message);
        await expect(whole(directory)).rejects.toThrow(PermanentError);
      }
    }
    await expect(whole(set(up, dtype, dtype === 'float16' ? 65_504 : -3.3e38, 5))).resolves.toHaveLength(64);
  });

  it('is found behind many others, in an odd number of halves; the digest is that of the file', async () => {
    const path = join(folder, 'halves.safetensors');
    for (const value of [0x7f80, 0x7f7f]) {
      const halves = new Uint16Array(4_000_001);
      halves[4_000_000] = value;
      const bytes = encodeSafetensors([['a', tensor('bfloat16', [halves.length], halves)]]);
      writeFileSync(path, bytes);
      const { tensors } = await openSafetensors(path);
      const file = { path: './given', realPath: path, tensors };
      const digest = digestOfWeights(
        file,
        () => true,
        () => undefined,
      );
      if (value === 0x7f80)
        await expect(digest).rejects.toThrow('./given: finite numbers in tensor a, got Infinity at [4000000]');
      else expect(Buffer.from(await digest)).toEqual(createHash('sha256').update(bytes).digest());
    }
  });
});

describe('a tokenizer', () => {
  it('is refused where it has more tokens than the model has embeddings', async () => {
    const directory = changed('llama', ({ config, tensors }) => {
      config.vocab_size = 519;
      tensors.set('model.embed_tokens.weight', zeros(519, 16));
    });
    await expect(openModel(directory)).rejects.toThrow(
      `${directory}/tokenizer.json: token ids below the vocab_size of the model, 519, got 519`,
    );
  });
});

describe('a tokenizer.json that is damaged', () => {
  /** Changes the definition of a model's tokenizer. */
  function withTokenizer(change: (definition: Record<string, unknown>) => void): string {
    const directory = changed('llama');
    const path = join(directory, 'tokenizer.json');
    const definition = JSON.parse(readFileSync(path, 'utf8'));
    change(definition);
    writeFileSync(path, JSON.stringify(definition));
    return directory;
  }

  it.each([
    ['decoder', { type: 'Nonsense' }, /: a tokenizer that splits text, got Unknown Decoder type: Nonsense$/],
    ['post_processor', { type: 16 }, /: a tokenizer that splits text, got Unknown PostProcessor type: 16$/],
    ['decoder', { type: 'Sequence', decoders: {} }, /: a tokenizer that splits text, got .*is not a function$/],
  ])('by its %s is refused under its own name', async (field, value, message) => {
    const directory = withTokenizer((definition) => Object.assign(definition, { [field]: value }));
    await expect(openModel(directory)).rejects.toThrow(MalformedFileError);
    await expect(openModel(directory)).rejects.toThrow(message);
    await expect(openModel(directory)).rejects.toThrow(`${directory}/tokenizer.json: `);
  });

  it('by a token that its merges need is refused', async () => {
    const directory = withTokenizer(({ model }) => {
      const { vocab } = model as { vocab: Record<string, number> };
      vocab['\u0164'] = vocab.t;
      delete vocab.t;
    });
    await expect(openModel(directory)).rejects.toThrow('merges of tokens that are in the vocabulary');
  });
});

describe('JSON that is nested too deep', () => {
  const nest = '['.repeat(10_000) + ']'.repeat(10_000);
  it.each([
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
  ])('is refused in %s', async (name) => {
    const directory = changed('llama');
    writeFileSync(join(directory, name), `{"model_type":"llama","x":${nest}}`);
    await expect(openModel(directory)).rejects.toThrow(MalformedFileError);
    await expect(openModel(directory)).rejects.toThrow(/nested deeper than 100/);
  });

  it('is refused in the header of weights', async () => {
    const directory = changed('llama');
    const header = `{"a":${nest}}`;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(join(directory, 'model.safetensors'), Buffer.concat([length, Buffer.from(header)]));
    await expect(openModel(directory)).rejects.toThrow(/model\.safetensors: .*nested deeper than 100/);
  });
});

describe('a GGUF file', () => {
  const golden = (name: string) => readFileSync(new URL(`../../golden/gguf/${name}/model.gguf`, import.meta.url));
  /** Imports a file with other bytes after a key (behind the four of its type), or with another name of a tensor. */
  async function imported(name: string, change: (bytes: Buffer) => void): Promise<string> {
    const bytes = golden(name);
    change(bytes);
    const path = join(folder, `${name}-${written++}.gguf`);
    writeFileSync(path, bytes);
    await importGguf(path, join(folder, `imported-${written}`));
    return path;
  }
  const setCount = (key: string, value: number) => (bytes: Buffer) =>
    bytes.writeUInt32LE(value, bytes.indexOf(key) + key.length + 4);
  const rename = (from: string, to: string) => (bytes: Buffer) => bytes.write(to, bytes.indexOf(from));

  it.each([
    ['llama.block_count', 0, 'a whole number from 1 to 2048 at llama.block_count, got 0'],
    ['llama.block_count', 0x7fffffff, 'a whole number from 1 to 2048 at llama.block_count, got 2147483647'],
    ['llama.block_count', 1, 'only tensors that llama uses, got blk.1.'],
    ['llama.block_count', 3, 'a tensor blk.2.attn_norm.weight of [32], got none, nor 8 others'],
    ['llama.embedding_length', 34, 'token_embd.weight of float32, float16, bfloat16 [520, 34], got float32 [520, 32]'],
    ['llama.attention.head_count', 5, 'attention heads: a multiple of the 2 heads of keys and values, got 5'],
    ['llama.context_length', 0, 'at llama.context_length, got 0'],
  ])('whose %s is %d is refused under its own name', async (key, value, message) => {
    const importing = imported('llama', setCount(key, value));
    await expect(importing).rejects.toThrow(message);
    await expect(importing).rejects.toThrow(new RegExp(`^${folder}/llama-\\d+\\.gguf: `));
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('is refused under its own names where a tensor is missing, left over or no number', async () => {
    const importing = imported('llama', rename('blk.1.ffn_up.weight', 'blk.7.ffn_up.weight'));
    await expect(importing).rejects.toThrow('gguf: a tensor blk.1.ffn_up.weight of [48, 32], got none');
    const toNothing = (bytes: Buffer) => bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    await expect(imported('llama', toNothing)).rejects.toThrow(/gguf: finite numbers in tensor .*, got NaN at/);
  });
});
