import { describe, expect, it } from 'vitest';
import { MalformedFileError } from '../../../src/errors.js';
import type { Manifest } from '../../../src/registry/index.js';
import { encodeJson } from '../../../src/registry/json-object.js';
import { checkManifest, decodeManifest, decodePointer } from '../../../src/registry/manifest.js';
import { draftEdit, manifestDraft } from '../../support/manifest-draft.js';

const hooks = (version: number) => ({
  key: `versions/00000${version}/hooks.safetensors`,
  sizeBytes: 10 * version,
  sha256: String(version).repeat(64),
});

const valid: Manifest = {
  ...manifestDraft([]),
  schemaVersion: 1,
  modelId: 'm',
  version: 3,
  parent: 2,
  base: { version: 2, etag: '"2"' },
  createdAt: '2026-01-02T03:04:05.000Z',
  publishedBy: 'run-3',
  edits: [
    { ...draftEdit('one'), version: 1, targetTrue: 'Rome' },
    { ...draftEdit('two'), version: 3, overwrites: 'one' },
  ],
  segments: [
    { version: 1, ...hooks(1) },
    { version: 3, ...hooks(3) },
  ],
  files: [{ ...hooks(3), role: 'hooks' }],
};

describe('a manifest', () => {
  it('reads back as it was written', () => {
    expect(decodeManifest(encodeJson(valid), 'manifest')).toEqual(valid);
  });

  it.each<[string, unknown]>([
    ['an unknown field', { ...valid, extra: 1 }],
    ['another schema version', { ...valid, schemaVersion: 2 }],
    ['a model id that is none', { ...valid, modelId: '../m' }],
    ['no model digest', { ...valid, modelDigest: 'abc' }],
    ['a date that is none', { ...valid, createdAt: 'yesterday' }],
    ['an unknown gate', { ...valid, gate: { kind: 'norm', thresholds: {} } }],
    ['statistics of no layer', { ...valid, statistics: { x: 'b'.repeat(64) } }],
    ['a hyperparameter that JSON cannot hold', { ...valid, hyperparameters: { rate: Number.NaN } }],
    ['a parent that is not the base', { ...valid, parent: 1 }],
    ['a parent that is not earlier', { ...valid, parent: 3, base: { version: 3, etag: '"3"' } }],
    ['a file outside its version', { ...valid, files: [{ ...hooks(1), role: 'hooks' }] }],
    [
      'a file that climbs out',
      { ...valid, files: [{ ...hooks(3), key: 'versions/000003/../../../x/latest.json', role: 'hooks' }] },
    ],
    [
      'a file of an unknown name',
      { ...valid, files: [{ ...hooks(3), key: 'versions/000003/evil.sh', role: 'hooks' }] },
    ],
    ['a file named twice', { ...valid, files: [...valid.files, ...valid.files] }],
    [
      'a segment that climbs out',
      { ...valid, segments: [{ version: 1, ...hooks(1), key: '../other/versions/000001/hooks.safetensors' }] },
    ],
    [
      'a segment of another version than it says',
      { ...valid, segments: [{ version: 2, ...hooks(1) }, valid.segments[1]] },
    ],
    ['segments out of order', { ...valid, segments: [...valid.segments].reverse() }],
    ['a segment of a later version', { ...valid, segments: [...valid.segments, { version: 4, ...hooks(4) }] }],
    ['hooks that are not its last segment', { ...valid, segments: [valid.segments[0]] }],
    ['a last segment that is not its hooks', { ...valid, files: [] }],
    ['two edits of one id in one version', { ...valid, edits: [valid.edits[0], valid.edits[0]] }],
    ['an edit of a later version', { ...valid, edits: [{ ...draftEdit('x'), version: 4 }] }],
    ['a layer named twice', { ...valid, layers: [3, 3] }],
    ['nothing', null],
  ])('does not hold %s', (_, value) => {
    expect(() => checkManifest(value, 'manifest')).toThrow(MalformedFileError);
  });

  it('is refused by file name and reason if it is not JSON in UTF-8', () => {
    for (const bytes of [new Uint8Array(), Uint8Array.of(0xff, 0xfe), new TextEncoder().encode('{"a":')]) {
      expect(() => decodeManifest(bytes, 'models/m/x.json')).toThrow(/^models\/m\/x\.json: JSON in UTF-8, got /);
      expect(() => decodePointer(bytes, 'models/m/latest.json')).toThrow(MalformedFileError);
    }
    expect(() => checkManifest({ ...valid, dModel: 0 }, 'models/m/x.json')).toThrow(
      /^models\/m\/x\.json: field dModel/,
    );
  });
});
