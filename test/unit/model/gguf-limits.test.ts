import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MalformedFileError } from '../../../src/errors.js';
import { openGguf } from '../../../src/model/gguf/gguf-file.js';

const uint32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const uint64 = (value: bigint) => Buffer.from(BigUint64Array.of(value).buffer);
const text = (value: string) => Buffer.concat([uint64(BigInt(value.length)), Buffer.from(value)]);
const header = (tensors: bigint, entries: bigint, ...rest: Buffer[]) =>
  Buffer.concat([Buffer.from('GGUF'), uint32(3), uint64(tensors), uint64(entries), ...rest, Buffer.alloc(64)]);

const huge = 2n ** 40n;
const [stringType, arrayType] = [uint32(8), uint32(9)];

it.each([
  ['a string', header(0n, 1n, text('general.architecture'), stringType, uint64(huge)), 'String length'],
  ['the metadata', header(0n, huge), 'metadata count'],
  ['an array', header(0n, 1n, text('a'), arrayType, uint32(0), uint64(huge)), 'array length'],
  ['the tensors', header(huge, 0n), 'Tensor count'],
  [
    'arrays in arrays',
    header(
      0n,
      1n,
      text('a'),
      arrayType,
      ...Array.from({ length: 20_000 }, () => Buffer.concat([arrayType, uint64(1n)])),
    ),
    'depth',
  ],
])('a GGUF header with the length of %s beyond its limit is refused, and not read', async (_what, bytes, reason) => {
  const path = join(mkdtempSync(join(tmpdir(), 'hookline-gguf-')), 'model.gguf');
  writeFileSync(path, bytes);
  const opened = openGguf(path);
  await expect(opened).rejects.toThrow(MalformedFileError);
  await expect(opened).rejects.toThrow(reason);
});
