import { describe, expect, it } from 'vitest';
import { finiteNumber, memoryBudgetBytes, parseVersion, wholeNumber } from '../../../src/cli/options/model-options.js';
import { statedModelId } from '../../../src/cli/options/open-versions.js';
import { InvalidInputError } from '../../../src/errors.js';

describe('values of options', () => {
  it('are whole numbers in their range, or an error that says what was required and what was got', () => {
    const parse = wholeNumber('--seed', { max: 9 });
    expect(parse('7')).toBe(7);
    for (const text of ['', '-1', '10', '1.5', '1e0', '0x1', ' 1', 'nine']) {
      expect(() => parse(text)).toThrow(`--seed: a whole number from 0 to 9, got ${JSON.stringify(text)}`);
    }
    expect(() => wholeNumber('--top-k', { min: 1 })('0')).toThrow('--top-k: a whole number of at least 1, got "0"');
  });

  it('are finite numbers in their range', () => {
    const parse = finiteNumber('--temperature', { min: 0 });
    expect(parse('0.5')).toBe(0.5);
    expect(parse('1e-3')).toBe(0.001);
    for (const text of ['', ' ', '-1', 'Infinity', 'NaN', 'warm']) {
      expect(() => parse(text)).toThrow('--temperature: a number of at least 0, got');
    }
  });

  it('name versions as people write them', () => {
    expect(['3', 'v3', '000003'].map(parseVersion)).toEqual([3, 3, 3]);
    for (const text of ['0', '', 'latest', '1000000', '-1'])
      expect(() => parseVersion(text)).toThrow(InvalidInputError);
  });

  it('give the memory budget in bytes', () => {
    expect(memoryBudgetBytes({ memoryBudget: 512 })).toBe(512 * 1024 * 1024);
    expect(memoryBudgetBytes({})).toBeUndefined();
  });

  it('name the model by its id, else by its folder', () => {
    expect(statedModelId({ modelId: 'mine', model: './SmolLM2' })).toBe('mine');
    expect(statedModelId({ model: './models/SmolLM2-135M Instruct/' })).toBe('smollm2-135m-instruct');
    expect(statedModelId({})).toBeUndefined();
    expect(() => statedModelId({ modelId: 'Not an id' })).toThrow('model id');
  });
});
