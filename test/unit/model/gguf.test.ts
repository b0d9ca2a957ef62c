import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  InvalidInputError,
  MalformedFileError,
  PermanentError,
  UnsupportedArchitectureError,
  UnsupportedTensorTypeError,
} from '../../../src/errors.js';
import { openGguf } from '../../../src/model/gguf/gguf-file.js';
import { importGguf } from '../../../src/model/gguf/index.js';
import { loadTokenizer } from '../../../src/model/tokenizer.js';
import { openSafetensors, tensorBytes, toBfloat16, toFloat16, toFloat32 } from '../../../src/tensor/index.js';

const goldens = fileURLToPath(new URL('../../golden/gguf/', import.meta.url));
const tokenizerGoldens = fileURLToPath(new URL('../../golden/tokenizer/', import.meta.url));

async function readGolden<T>(...path: string[]): Promise<T> {
  return JSON.parse(await readFile(join(...path), 'utf8')) as T;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gguf-'));
});
afterAll(() => rm(folder, { recursive: true }));

interface ExpectedModel {
  readonly tensors: Record<string, { shape: number[]; sha256: string }>;
  readonly config: Record<string, unknown>;
}

describe('storage types', () => {
  const types = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q4_K', 'Q5_K', 'Q6_K'];
  it.each(types)('%s widens to exactly the values of the reference implementation', async (type) => {
    const file = await openGguf(join(goldens, 'types.gguf'));
    const expected = await readGolden<Record<string, { shape: number[]; values: number[] }>>(goldens, 'types.json');
    const tensor = file.tensors.get(type)!;
    expect(tensor.format.name).toBe(type);
    expect(tensor.shape).toEqual(expected[type]!.shape);
    expect([...(await file.readValues(tensor))]).toEqual(expected[type]!.values);
  });

  it('names tensor, type and the supported types where it meets another', async () => {
    const opening = openGguf(join(goldens, 'unsupported-type.gguf'));
    await expect(opening).rejects.toThrow(UnsupportedTensorTypeError);
    await expect(opening).rejects.toThrow(
      /: type of tensor blk\.0\.ffn_up\.weight: one of F32, .*Q6_K, BF16, got Q2_K$/,
    );
  });
});

describe.each(['llama', 'llama2', 'llama3', 'qwen2', 'qwen3', 'gpt2', 'gptneox'])('import of a %s file', (name) => {
  let directory: string;
  let expected: ExpectedModel;
  const progress: [number, number, string][] = [];
  beforeAll(async () => {
    directory = join(folder, name);
    expected = await readGolden(goldens, name, 'expected.json');
    await importGguf(join(goldens, name, 'model.gguf'), directory, {
      onProgress: (...step) => progress.push(step),
    });
  });

  it('writes every tensor under its Hugging Face name, in its layout, bit by bit', async () => {
    const file = await openSafetensors(join(directory, 'model.safetensors'));
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(expected.tensors).sort());
    for (const [tensorName, { shape, sha256 }] of Object.entries(expected.tensors)) {
      const value = await file.read(tensorName);
      expect(value.shape, tensorName).toEqual(shape);
      expect(createHash('sha256').update(tensorBytes(value)).digest('hex'), tensorName).toBe(sha256);
    }
    const total = progress.at(-1)![1];
    expect(progress.at(-1)).toEqual([total, total, 'tensors']);
    expect(total).toBe(file.tensors.size);
  });

  it('writes the config of the model', async () => {
    expect(await readGolden(directory, 'config.json')).toMatchObject(expected.config);
  });

  it('leaves the four files and nothing else', async () => {
    const files = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    expect((await readdir(directory)).sort()).toEqual(files);
  });
});

describe('import of tokenizers', () => {
  it.each([
    ['llama', 'smollm2'],
    ['llama3', 'llama3'],
    ['qwen2', 'qwen2'],
    ['gpt2', 'gpt2'],
  ])('gives the ids of the tokenizer that the %s file was made from', async (model, style) => {
    const directory = join(folder, `tokenizer-${model}`);
    await importGguf(join(goldens, model, 'model.gguf'), directory);
    const tokenizer = await loadTokenizer(directory);
    const cases = await readGolden<{ text: string; full: { ids: number[] }; plain: { ids: number[] } }[]>(
      tokenizerGoldens,
      style,
      'cases.json',
    );
    for (const { text, full, plain } of cases) {
      expect(tokenizer.encode(text).ids, text).toEqual(full.ids);
      expect(tokenizer.encodePlain(text).ids, text).toEqual(plain.ids);
    }
    expect([tokenizer.bosId, tokenizer.eosIds]).toEqual([0, [1]]);
  });

  it('derives the merges of a SentencePiece vocabulary as the reference converter does', async () => {
    const directory = join(folder, 'sentencepiece');
    await importGguf(join(goldens, 'llama2', 'model.gguf'), directory);
    const definition = await readGolden<{ model: { merges: string[][] } }>(directory, 'tokenizer.json');
    expect(definition.model.merges).toEqual(await readGolden(goldens, 'llama2', 'merges.json'));
    const tokenizer = await loadTokenizer(directory);
    const cases = await readGolden<{ text: string; ids: number[] }[]>(goldens, 'llama2', 'cases.json');
    for (const { text, ids } of cases) expect(tokenizer.encode(text).ids, text).toEqual(ids);
  });
});

describe('importGguf', () => {
  const source = join(goldens, 'gpt2', 'model.gguf');

  it('rounds to the halves it is asked for', async () => {
    const place = await mkdtemp(join(folder, 'halves-'));
    await importGguf(source, join(place, 'float32'));
    const exact = await openSafetensors(join(place, 'float32', 'model.safetensors'));
    for (const [dtype, narrow] of [
      ['float16', toFloat16],
      ['bfloat16', toBfloat16],
    ] as const) {
      await importGguf(source, join(place, dtype), { dtype });
      const halves = await openSafetensors(join(place, dtype, 'model.safetensors'));
      for (const name of exact.tensors.keys()) {
        const value = await halves.read(name);
        expect(value.dtype).toBe(dtype);
        expect(value.data).toEqual(narrow(toFloat32(await exact.read(name))));
      }
    }
  });

  it('does not overwrite a directory and leaves no draft behind', async () => {
    const place = await mkdtemp(join(folder, 'existing-'));
    await mkdir(join(place, 'model'));
    await writeFile(join(place, 'model', 'precious'), '');
    await expect(importGguf(source, join(place, 'model'))).rejects.toThrow(InvalidInputError);
    expect(await readdir(place)).toEqual(['model']);
    expect(await readdir(join(place, 'model'))).toEqual(['precious']);
  });

  async function importBytes(bytes: Uint8Array): Promise<void> {
    const place = await mkdtemp(join(folder, 'bytes-'));
    await writeFile(join(place, 'model.gguf'), bytes);
    try {
      await importGguf(join(place, 'model.gguf'), join(place, 'out'));
    } catch (error) {
      expect(await readdir(place)).toEqual(['model.gguf']);
      throw error;
    }
  }

  it('refuses other architectures, truncated files and missing files', async () => {
    const bytes = await readFile(source);
    const other = Buffer.from(bytes);
    other.write('bert', other.indexOf('gpt2', other.indexOf('general.architecture')));
    await expect(importBytes(other)).rejects.toThrow(UnsupportedArchitectureError);
    await expect(importBytes(bytes.subarray(0, bytes.length - 64))).rejects.toThrow(MalformedFileError);
    await expect(importBytes(bytes.subarray(0, 3))).rejects.toThrow(MalformedFileError);
    await expect(importGguf(join(folder, 'absent.gguf'), join(folder, 'out'))).rejects.toThrow(InvalidInputError);
  });

  it('answers a damaged header with a permanent error or a model', async () => {
    const bytes = await readFile(join(goldens, 'unsupported-type.gguf'));
    const damage = fc.record({ at: fc.nat(bytes.length - 1), byte: fc.integer({ min: 0, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        const damaged = Uint8Array.from(bytes);
        for (const { at, byte } of damages) damaged[at] = byte;
        await importBytes(damaged).catch((error: unknown) => expect(error).toBeInstanceOf(PermanentError));
      }),
      { numRuns: 60 },
    );
  });
});
