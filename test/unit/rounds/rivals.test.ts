import { describe, expect, it } from 'vitest';
import { emptyState, replaySegments, resolveHyperparameters } from '../../../src/editing/index.js';
import { matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import type { ModelConfig } from '../../../src/model/index.js';
import { type Fact, rivalsOf } from '../../../src/rounds/rivals.js';
import { randomSegment } from '../../support/published-version.js';

const config = { layers: 2, dInner: 16, dModel: 8 } as ModelConfig;
const settings = resolveHyperparameters({ layers: [1] }, config);

/** A row of a memory, whose key is this axis of key space, or lies between two of them. */
type Row = readonly [memory: string, ...axes: number[]];

/** A state whose last rows are new. */
async function stateOf(rows: readonly Row[]) {
  const keys = matrix(config.dInner, rows.length);
  for (const [r, [, ...axes]] of rows.entries()) for (const axis of axes) keys.data[axis * rows.length + r] = 1;
  const model = { config, settings, modelDigest: 'a'.repeat(64), keysOf: () => keys };
  const before = emptyState(config, settings);
  const ids = rows.map(([memory]) => memory);
  return replaySegments(before, [await randomSegment(model, before, ids)], new PlainGemmEngine());
}

const fact = (id: string, memory: string, targetNew = `target of ${id}`): Fact => ({
  id,
  memory,
  subject: `subject of ${memory}`,
  prompt: '{} lives in',
  targetNew,
});
const rivals = async (rows: readonly Row[], facts: readonly Fact[], newRows = ['y', 'y']) =>
  rivalsOf(await stateOf(rows), newRows, facts);

describe('rivals', () => {
  const facts = [fact('a', 'x'), fact('b', 'y')];
  const pair = { id: 'b', otherId: 'a', similarity: expect.closeTo(1, 6) };

  it('are a new edit and another one, of which the prompt of one opens a row of the other', async () => {
    expect(
      await rivals(
        [
          ['x', 0],
          ['x', 1],
          ['y', 0],
          ['y', 2],
        ],
        facts,
      ),
    ).toEqual([pair]);
    expect(
      await rivals(
        [
          ['x', 0],
          ['x', 1],
          ['y', 1],
          ['y', 2],
        ],
        facts,
      ),
    ).toEqual([pair]);
    expect(
      await rivals(
        [
          ['x', 0],
          ['x', 1],
          ['y', 2],
          ['y', 0],
        ],
        facts,
      ),
    ).toEqual([pair]);
  });

  it('are not those of which only other rows are alike, or none', async () => {
    expect(
      await rivals(
        [
          ['x', 0],
          ['x', 1],
          ['y', 2],
          ['y', 1],
        ],
        facts,
      ),
    ).toEqual([]);
    expect(
      await rivals(
        [
          ['x', 0],
          ['x', 1],
          ['y', 2],
          ['y', 3],
        ],
        facts,
      ),
    ).toEqual([]);
  });

  it('are not the facts of one memory, those that say the same, or two that were there before', async () => {
    const alike: Row[] = [
      ['x', 0],
      ['x', 1],
      ['y', 0],
      ['y', 2],
    ];
    expect(await rivals(alike, [fact('a', 'x', 'Oslo'), fact('b', 'y', 'OSLO')])).toEqual([]);
    expect(
      await rivals(
        [
          ['y', 0],
          ['y', 0],
        ],
        [fact('a', 'y'), fact('b', 'y')],
      ),
    ).toEqual([]);
    expect(await rivals([...alike, ['z', 5]], [...facts, fact('c', 'z')], ['z'])).toEqual([]);
  });

  it('are named once for two memories, by their most similar rows and by facts that differ, the most similar first', async () => {
    const rows: Row[] = [
      ['x', 0],
      ['x', 1],
      ['z', 4, 5],
      ['y', 0],
      ['y', 1],
      ['y', 4],
    ];
    const said = [fact('a', 'x', 'Oslo'), fact('a2', 'x'), fact('c', 'z'), fact('b', 'y', 'Oslo'), fact('b2', 'y')];
    expect(await rivals(rows, said, ['y', 'y', 'y'])).toEqual([
      { id: 'b', otherId: 'a2', similarity: expect.closeTo(1, 6) },
      { id: 'b', otherId: 'c', similarity: expect.closeTo(Math.SQRT1_2, 6) },
    ]);
  });
});
