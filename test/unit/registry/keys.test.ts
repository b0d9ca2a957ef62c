import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import {
  checkModelId,
  checkObjectKey,
  incomingKey,
  incomingPrefix,
  modelIdFrom,
  modelIdOfIncomingKey,
  modelPrefix,
  statisticsKey,
  valuesKey,
  versionFileKey,
} from '../../../src/registry/index.js';
import * as registry from '../../../src/registry/keys.js';
import { latestKey, manifestKey, versionOfKey } from '../../../src/registry/keys.js';
import { checkKeyPrefix, objectKeyLimitBytes } from '../../../src/registry/object-key.js';
import { badKeys } from '../../support/object-store-contract.js';

const digest = 'd'.repeat(64);
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('.', '/', '\\', 'a', 'B', '-', '\0', '\n', 'é', '\ud800', '\u{1f600}', ' ') }),
);

const accepts = (check: () => unknown): boolean => {
  try {
    check();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInputError);
    return false;
  }
};

describe('an object key', () => {
  it.each(badKeys.map((key) => [JSON.stringify(key.slice(0, 20)), key]))('is not %s', (_, key) => {
    expect(() => checkObjectKey(key)).toThrow(InvalidInputError);
  });

  it('may hold dots, spaces and any other script', () => {
    for (const key of ['a..b', '...', 'a/.b', 'incoming/m/Партия 1.jsonl', 'a:b', 'x'.repeat(255)]) {
      expect(checkObjectKey(key)).toBe(key);
    }
  });

  it('never leads out of a folder, nor to another place than it says', () => {
    fc.assert(
      fc.property(anyText, (key) => {
        if (!accepts(() => checkObjectKey(key))) return;
        expect(posix.join('/root', key)).toBe(`/root/${key}`);
        expect(key.length).toBeGreaterThan(0);
        expect(Buffer.byteLength(key)).toBeLessThanOrEqual(objectKeyLimitBytes);
        expect(Buffer.from(key).toString()).toBe(key);
      }),
      { numRuns: 2000 },
    );
  });

  it('has only beginnings that are valid prefixes', () => {
    fc.assert(
      fc.property(anyText, fc.nat(), (key, cut) => {
        fc.pre(accepts(() => checkObjectKey(key)));
        // Not through the middle of a surrogate pair.
        const prefix = [...key].slice(0, cut % (key.length + 1)).join('');
        expect(checkKeyPrefix(prefix)).toBe(prefix);
      }),
    );
  });
});

describe('a model id', () => {
  it('is made of a name by dropping what an id cannot hold', () => {
    expect(modelIdFrom('HuggingFaceTB/SmolLM2-135M-Instruct')).toBe('huggingfacetb-smollm2-135m-instruct');
    expect(modelIdFrom('./models/Médaille  (v1.0)/')).toBe('models-medaille-v1.0');
    expect(modelIdFrom('a'.repeat(300))).toBe('a'.repeat(100));
    expect(() => modelIdFrom('../..')).toThrow(InvalidInputError);
  });

  it('is valid and stable for every name that yields one, and one segment of a key', () => {
    fc.assert(
      fc.property(anyText, (name) => {
        if (!accepts(() => modelIdFrom(name))) return;
        const modelId = modelIdFrom(name);
        expect(checkModelId(modelId)).toBe(modelId);
        expect(modelIdFrom(modelId)).toBe(modelId);
        expect(checkObjectKey(latestKey(modelId)).split('/')).toEqual(['models', modelId, 'latest.json']);
      }),
      { numRuns: 1000 },
    );
  });

  it('is refused if it could name another model or another place', () => {
    for (const modelId of ['', '.', '..', '-a', '_a', 'A', 'a/b', 'a b', 'a\n', 'é', 'a'.repeat(101), '../a']) {
      expect(() => latestKey(modelId)).toThrow(InvalidInputError);
    }
  });
});

describe('the keys of a model', () => {
  it('have the documented form', () => {
    expect(manifestKey('m', 7)).toBe('models/m/versions/000007/manifest.json');
    expect(versionFileKey('m', 7, 'hooks.safetensors')).toBe('models/m/versions/000007/hooks.safetensors');
    expect(statisticsKey('m', digest, 'layer-3.safetensors')).toBe(`models/m/statistics/${digest}/layer-3.safetensors`);
    expect(valuesKey('m', digest)).toBe(`models/m/values/${digest}.safetensors`);
  });

  it('take no version, digest or file name from outside their form', () => {
    for (const version of [0, -1, 1.5, Number.NaN, 1_000_000])
      expect(() => manifestKey('m', version)).toThrow(InvalidInputError);
    for (const bad of ['', '../../x', digest.toUpperCase(), `${digest}0`])
      expect(() => valuesKey('m', bad)).toThrow(InvalidInputError);
    expect(() => statisticsKey('m', digest, '../x')).toThrow(InvalidInputError);
  });

  it('give back the version they were made of', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999 }), (version) => {
        expect(versionOfKey('m', manifestKey('m', version))).toBe(version);
        expect(versionOfKey('other', manifestKey('m', version))).toBeUndefined();
      }),
    );
    for (const rest of ['000000/manifest.json', '12/manifest.json', '0000001/x', 'x', '000001']) {
      expect(versionOfKey('m', `models/m/versions/${rest}`)).toBeUndefined();
    }
  });
});

const roundId = 'a'.repeat(16);

/** Every key that holds a name from outside, with the prefix that it must not leave. */
const namedKeys: readonly (readonly [string, string, (name: string) => string])[] = [
  ['batchKey', `models/m/batches/${digest}/`, (name) => registry.batchKey('m', digest, name)],
  ['pendingKey', 'models/m/pending/', (name) => registry.pendingKey('m', name)],
  ['failedKey', 'models/m/failed/', (name) => registry.failedKey('m', name)],
  ['failureKey', 'models/m/failures/', (name) => registry.failureKey('m', name)],
  ['recordKey', 'models/m/records/', (name) => registry.recordKey('m', name)],
  ['roundKey', `models/m/rounds/${roundId}/`, (name) => registry.roundKey('m', roundId, name)],
  ['executionPrefix', 'executions/', (name) => registry.executionPrefix(name).slice(0, -1)],
  ['eventKey', 'events/', (name) => registry.eventKey(name)],
];

describe('the keys of the workflow', () => {
  it('have the documented form', () => {
    expect(registry.registrationKey('m')).toBe('models/m/model.json');
    expect(registry.corpusKey('m', digest)).toBe(`models/m/corpus/${digest}.txt`);
    expect(registry.batchKey('m', digest, 'unit-0001.jsonl')).toBe(`models/m/batches/${digest}/unit-0001.jsonl`);
    expect(registry.pendingKey('m', 'x.json')).toBe(`${registry.pendingPrefix('m')}x.json`);
    expect(registry.failedKey('m', 'x.json')).toBe(`${registry.failedPrefix('m')}x.json`);
    expect(registry.currentRoundKey('m')).toBe('models/m/round.json');
    expect(registry.roundKey('m', roundId, 'b', 'attempt-1', 'hooks.safetensors')).toBe(
      `models/m/rounds/${roundId}/b/attempt-1/hooks.safetensors`,
    );
    expect(registry.leaseKey('m')).toBe('models/m/lease.json');
    expect(registry.failureKey('m', 'run-1')).toBe(`${registry.failuresPrefix('m')}run-1.json`);
    expect(registry.recordKey('m', 'run-1')).toBe(`${registry.recordsPrefix('m')}run-1.json`);
    expect(registry.executionKey('run-1', 'result.json')).toBe('executions/run-1/result.json');
    expect(registry.executionPrefix('run-1').startsWith(registry.executionsPrefix)).toBe(true);
    expect(registry.eventKey('e.json')).toBe(`${registry.eventsPrefix}e.json`);
  });

  it.each(namedKeys)('%s stays one segment below its prefix, whatever the name', (_, prefix, keyOf) => {
    for (const name of ['', '..', '../x', 'a/b', 'a\\b', '/', 'a\0']) {
      if (accepts(() => keyOf(name))) throw new Error(`took ${JSON.stringify(name)}`);
    }
    fc.assert(
      fc.property(anyText, (name) => {
        if (!accepts(() => keyOf(name))) return;
        const key = keyOf(name);
        expect(posix.normalize(key)).toBe(key);
        expect(key.startsWith(prefix + name)).toBe(true);
        expect(key.slice(prefix.length)).not.toContain('/');
        expect(checkObjectKey(key)).toBe(key);
      }),
      { numRuns: 500 },
    );
  });

  it('take no digest and no round id of another form', () => {
    for (const bad of ['', '..', 'A'.repeat(16), 'a'.repeat(15), `${'a'.repeat(15)}/`, digest]) {
      expect(() => registry.roundPrefix('m', bad)).toThrow(InvalidInputError);
    }
    for (const bad of ['', '..', digest.slice(1), digest.toUpperCase()]) {
      expect(() => registry.batchPrefix('m', bad)).toThrow(InvalidInputError);
      expect(() => registry.corpusKey('m', bad)).toThrow(InvalidInputError);
    }
    expect(() => registry.roundKey('m', roundId, 'a', '..', 'b')).toThrow(InvalidInputError);
  });
});

describe('the key of a dropped object', () => {
  it('names its model, and nothing else does', () => {
    expect(modelIdOfIncomingKey('incoming/m/batch.jsonl')).toBe('m');
    expect(modelIdOfIncomingKey('incoming/m.1/2026/ü batch.jsonl')).toBe('m.1');
    const others = ['', 'incoming/', 'incoming/m', 'incoming/m/', 'incoming//a', 'incoming/M/a', 'incoming/../a'];
    others.push(
      'incoming/m/../a',
      'incoming/m//a',
      'incoming/m/a/',
      'incoming/m/a\nb',
      ' incoming/m/a',
      '/incoming/m/a',
    );
    others.push('x/incoming/m/a', 'Incoming/m/a', 'incoming\\m\\a', `incoming/m/${'x'.repeat(256)}`, 'models/m/a');
    for (const key of others) expect(modelIdOfIncomingKey(key), key).toBeUndefined();
  });

  it('is exactly what gives a model id back', () => {
    const prefixed = fc.oneof(
      anyText,
      anyText.map((text) => `incoming/m/${text}`),
      anyText.map((text) => `incoming/${text}`),
    );
    fc.assert(
      fc.property(prefixed, (key) => {
        const modelId = modelIdOfIncomingKey(key);
        if (modelId === undefined) return;
        const name = key.slice(incomingPrefix(modelId).length);
        expect(name).not.toBe('');
        expect(incomingKey(modelId, name)).toBe(key);
        expect(posix.normalize(key)).toBe(key);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(anyText, (name) => {
        if (accepts(() => incomingKey('m', name))) expect(modelIdOfIncomingKey(incomingKey('m', name))).toBe('m');
      }),
    );
    expect(modelPrefix('m')).toBe('models/m/');
  });
});
