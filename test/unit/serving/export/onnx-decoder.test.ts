import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openOnnxFile } from '../../../../src/graph/index.js';
import { loadModel } from '../../../../src/model/index.js';
import { HookableModel, OnnxDecoder } from '../../../../src/serving/index.js';
import { GoldenModel } from '../../../parity/golden-model.js';
import { tolerances } from '../../../support/matchers.js';
import { golden } from '../../../support/published-version.js';

describe('an exported decoder', () => {
  const { record, directory } = new GoldenModel('llama');
  let decoder: OnnxDecoder;
  let model: HookableModel;
  beforeAll(async () => {
    decoder = await OnnxDecoder.open(golden('onnx', 'llama-opset14.onnx'));
    model = await HookableModel.compile(await loadModel(directory), { layers: [], gate: 'key' });
  });
  afterAll(() => Promise.all([decoder.dispose(), model.dispose()]));

  it('scores and decodes as the model that was exported', async () => {
    const requests = record.sequences.map((tokenIds, s) => ({ tokenIds, scoredFrom: 1 + s }));
    const [scores, expected] = [await decoder.score(requests), await model.score(requests)];
    scores.forEach(({ logProbabilities, argMaxIds, firings }, s) => {
      expect(logProbabilities).toBeAllclose(expected[s].logProbabilities, tolerances.activations);
      expect(argMaxIds).toEqual(expected[s].argMaxIds);
      expect(firings).toEqual([]);
    });
    const options = { maxTokens: 6, stopIds: [expected[0].argMaxIds[0]] };
    expect(await decoder.generate(record.sequences, options)).toEqual(await model.generate(record.sequences, options));
  });

  it('gives no scores where none are asked for', async () => {
    const [{ logProbabilities, argMaxIds }] = await decoder.score([{ tokenIds: [1, 2], scoredFrom: 2 }]);
    expect([logProbabilities.length, argMaxIds]).toEqual([0, []]);
  });

  it('refuses sequences, positions and options that are out of range', async () => {
    await expect(decoder.logits([[]])).rejects.toThrow('sequence 0: at least one token, got none');
    await expect(decoder.logits([[1], [1, 80]])).rejects.toThrow('sequence 1: token ids of 0 .. 79, got 80');
    await expect(decoder.generate([[-1]], { maxTokens: 1 })).rejects.toThrow('prompt 0: token ids of 0 .. 79, got -1');
    await expect(decoder.generate([[1]], { maxTokens: 0 })).rejects.toThrow('maxTokens: a whole number of at least 1');
    const scoring = decoder.score([{ tokenIds: [1, 2], scoredFrom: 3 }]);
    await expect(scoring).rejects.toThrow('scoredFrom of sequence 0: 1 .. 2, got 3');
  });

  it('says after how many sequences it is', async () => {
    const told: [number, number][] = [];
    const requests = [[1], [2]].map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    await decoder.score(requests, undefined, (done, total) => told.push([done, total]));
    expect(told).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });
});

describe('a file that is no exported decoder', () => {
  it('is refused by what it lacks or has too much', async () => {
    await expect(OnnxDecoder.open(join(tmpdir(), 'no-such-file.onnx'))).rejects.toThrow(
      /^loading .*no-such-file.onnx: /,
    );
    const kinds = golden('onnx', 'kinds.onnx');
    await expect(OnnxDecoder.open(kinds)).rejects.toThrow('only the inputs input_ids');
    const file = await openOnnxFile(golden('onnx', 'llama-opset14.onnx'));
    const renamed = Buffer.from(file.encode()).toString('latin1').replaceAll('present.1.key', 'absent_.1.key');
    const folder = await mkdtemp(join(tmpdir(), 'hookline-onnx-'));
    await writeFile(join(folder, 'renamed.onnx'), Buffer.from(renamed, 'latin1'));
    const decoder = await OnnxDecoder.open(join(folder, 'renamed.onnx'));
    await expect(decoder.logits([[1]])).rejects.toThrow('exported decoder: an output present.1.key, got none');
    await decoder.dispose();
    await rm(folder, { recursive: true });
  });
});
