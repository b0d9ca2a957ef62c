import { describe, expect, it } from 'vitest';
import { less } from '../../../src/graph/elementwise.js';
import {
  add,
  and,
  argMax,
  cast,
  concat,
  type Dim,
  equal,
  exp,
  Graph,
  gather,
  gatherElements,
  gemm,
  matMul,
  mul,
  not,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  slice,
  softmax,
  squeeze,
  takeRows,
  transpose,
  unsqueeze,
  type Value,
  where,
} from '../../../src/graph/index.js';
import { scatterElementsAdd, scatterRowsAdd } from '../../../src/graph/indexing.js';
import { topK } from '../../../src/graph/reductions.js';
import { expand, sliceAfter } from '../../../src/graph/shaping.js';
import type { Dtype, TensorLocation } from '../../../src/tensor/index.js';

let graph = new Graph();
let nextName = 0;

function value(shape: readonly Dim[], dtype: Dtype = 'float32'): Value {
  return graph.input(`input ${nextName++}`, dtype, shape);
}

function signature({ dtype, shape }: Value): string {
  return `${dtype}[${shape.join(', ')}]`;
}

const good: readonly (readonly [name: string, build: () => Value, expected: string])[] = [
  ['add broadcasts 1 with a symbol', () => add(value(['rows', 1]), value([1, 3])), 'float32[rows, 3]'],
  ['add aligns at the last axis', () => add(value([3]), value(['rows', 3])), 'float32[rows, 3]'],
  ['add takes a number', () => add(1, value(['rows'])), 'float32[rows]'],
  ['add takes int64', () => add(value([2], 'int64'), value([2], 'int64')), 'int64[2]'],
  ['less is a bool', () => less(value(['rows']), 0), 'bool[rows]'],
  ['and, not', () => and(not(value(['rows'], 'bool')), value([1], 'bool')), 'bool[rows]'],
  ['equal of bools', () => equal(value([2], 'bool'), value([2], 'bool')), 'bool[2]'],
  ['where', () => where(value(['rows', 1], 'bool'), value([3]), value([])), 'float32[rows, 3]'],
  ['cast', () => cast(value(['rows']), 'int64'), 'int64[rows]'],
  ['gemm', () => gemm(value(['rows', 4]), value([5, 4]), { transB: true, bias: value([5]) }), 'float32[rows, 5]'],
  ['gemm transA', () => gemm(value(['rows', 4]), value(['rows', 5]), { transA: true }), 'float32[4, 5]'],
  [
    'matMul',
    () => matMul(value(['batch', 2, 'tokens', 4]), value([1, 4, 'tokens'])),
    'float32[batch, 2, tokens, tokens]',
  ],
  ['softmax', () => softmax(value(['rows', 4])), 'float32[rows, 4]'],
  ['reduceSum', () => reduceSum(value(['rows', 4, 5]), [-1, 0]), 'float32[4]'],
  ['reduceMean', () => reduceMean(value(['rows', 4]), [-1], { keepDims: true }), 'float32[rows, 1]'],
  ['argMax', () => argMax(value(['rows', 4])), 'int64[rows]'],
  ['topK values', () => topK(value(['rows', 4]), 2).values, 'float32[rows, 2]'],
  ['topK indices', () => topK(value(['rows', 'vocab']), 2).indices, 'int64[rows, 2]'],
  ['gather', () => gather(value([9, 4]), value(['batch', 'tokens'], 'int64')), 'float32[batch, tokens, 4]'],
  [
    'takeRows',
    () => takeRows(value(['rows', 4]), value(['batch', 'tokens'], 'int64'), value(['rows'], 'int64')),
    'float32[batch, tokens, 4]',
  ],
  ['gatherElements', () => gatherElements(value(['rows', 9]), value(['rows', 2], 'int64')), 'float32[rows, 2]'],
  [
    'scatterRowsAdd',
    () => scatterRowsAdd(value(['vocab', 4]), value(['rows'], 'int64'), value(['rows', 4])),
    'float32[vocab, 4]',
  ],
  ['concat of symbols', () => concat([value(['suffix', 4]), value(['prefix', 4])], 0), 'float32[prefix+suffix, 4]'],
  ['concat folds numbers', () => concat([value([2]), value(['rows']), value([3])], 0), 'float32[rows+5]'],
  ['slice', () => slice(value(['rows', 9]), 1, 2, -3), 'float32[rows, 4]'],
  ['slice of a symbol', () => slice(value(['tokens', 9]), 0, 1), 'float32[tokens-1, 9]'],
  ['slice to the last but one', () => slice(value(['tokens']), 0, 0, -1), 'float32[tokens-1]'],
  [
    'sliceAfter',
    () => {
      const past = value(['past', 4]);
      return sliceAfter(concat([past, value(['tokens', 4])], 0), 0, past, 0);
    },
    'float32[tokens, 4]',
  ],
  [
    'reshape to products',
    () => reshape(value(['batch', 'tokens', 6]), ['tokens*batch', 2, 3]),
    'float32[batch*tokens, 2, 3]',
  ],
  ['reshape to a new name', () => reshape(value(['batch', 'tokens', 6]), ['lines', 6]), 'float32[lines, 6]'],
  ['squeeze', () => squeeze(value([1, 'rows', 1]), [0, -1]), 'float32[rows]'],
  ['unsqueeze', () => unsqueeze(value(['rows', 3]), [0, -1]), 'float32[1, rows, 3, 1]'],
  ['transpose', () => transpose(value(['batch', 2, 3]), [2, 0, 1]), 'float32[3, batch, 2]'],
  ['expand', () => expand(value([1, 3]), [2, value(['rows']).shape[0]!, 3]), 'float32[2, rows, 3]'],
];

const bad: readonly (readonly [name: string, build: () => Value, message: string])[] = [
  [
    'two symbols in one position',
    () => add(value(['rows', 3]), value(['tokens', 3])),
    'add: shapes that broadcast (equal sizes or 1 in each position), got [rows, 3] and [tokens, 3]',
  ],
  ['a symbol beside a number', () => mul(value(['rows']), value([3])), 'mul: shapes that broadcast'],
  [
    'operands of two dtypes',
    () => add(value([3]), value([3], 'float64')),
    'add: operands of one dtype, got float32[3] and float64[3]',
  ],
  ['two numbers', () => add(1, 2), 'add: at least one value, got 1 and 2'],
  ['a number beside int64', () => add(value([3], 'int64'), 1), 'add: a float operand beside a number, got int64'],
  ['exp of integers', () => exp(value([3], 'int64')), 'exp: elements of float32 or float64, got int64[3]'],
  ['and of numbers', () => and(value([3]), value([3])), 'and: elements of bool, got float32[3] and float32[3]'],
  ['where of a float condition', () => where(value([3]), value([3]), value([3])), 'where: elements of bool'],
  [
    'gemm of unequal inner sizes',
    () => gemm(value(['rows', 4]), value([5, 4])),
    'gemm: equal inner sizes (transA false, transB false), got float32[rows, 4] and float32[5, 4]',
  ],
  ['gemm of a batch', () => gemm(value([2, 3, 4]), value([4, 5])), 'gemm: matrices, got'],
  [
    'gemm with an ill-shaped bias',
    () => gemm(value(['rows', 4]), value([4, 5]), { bias: value([4]) }),
    'gemm: a bias that broadcasts to [rows, 5], got float32[4]',
  ],
  ['matMul of a vector', () => matMul(value([4]), value([4, 5])), 'matMul: operands of rank 2 or more'],
  ['matMul of unequal inner sizes', () => matMul(value([2, 3]), value([2, 3])), 'matMul: equal inner sizes'],
  [
    'matMul of two batch symbols',
    () => matMul(value(['a', 2, 3]), value(['b', 3, 2])),
    'matMul: shapes that broadcast',
  ],
  ['softmax of a scalar', () => softmax(value([])), 'softmax: a tensor of rank 1 or more, got float32[]'],
  ['reduceSum of a missing axis', () => reduceSum(value([2]), [1]), 'reduceSum: an axis of a tensor of rank 1, got 1'],
  ['reduceMax of no axis', () => reduceMax(value([2]), []), 'reduceMax: at least one axis, none named twice'],
  [
    'reduceSum of an axis twice',
    () => reduceSum(value([2, 3]), [1, -1]),
    'reduceSum: at least one axis, none named twice',
  ],
  ['topK of too many', () => topK(value([3]), 4).values, 'topK: 1 <= k <= size of the last axis, with k = 4'],
  ['gather by floats', () => gather(value([3, 2]), value([2])), 'gather: elements of int64, got float32[2]'],
  [
    'takeRows with an inverse of another length',
    () => takeRows(value(['rows', 4]), value(['tokens'], 'int64'), value(['tokens'], 'int64')),
    'takeRows: an inverse with one entry per row of x',
  ],
  [
    'gatherElements of other rows',
    () => gatherElements(value(['rows', 4]), value(['tokens', 1], 'int64')),
    'gatherElements: shapes equal except in axis 1',
  ],
  [
    'scatterElementsAdd of updates of another shape',
    () => scatterElementsAdd(value(['rows', 4]), value(['rows', 1], 'int64'), value(['rows', 2])),
    'scatterElementsAdd: updates and indices of one shape',
  ],
  ['concat of nothing', () => concat([], 0), 'concat: at least one value, got none'],
  ['concat of other columns', () => concat([value([2, 3]), value([2, 4])], 0), 'concat: shapes equal except in axis 0'],
  ['slice beyond the end', () => slice(value([4]), 0, 2, 5), 'slice: 0 <= start <= end <= size of axis 0'],
  [
    'slice backwards',
    () => slice(value([4]), 0, 3, 2),
    'slice: 0 <= start <= end <= size of axis 0, with start 3, end 2',
  ],
  ['slice by an undeclared size', () => slice(value(['rows']), 0, 'unknown'), "size 'unknown': declared by an input"],
  [
    'reshape to more elements',
    () => reshape(value(['rows', 4]), ['rows', 5]),
    'reshape: as many elements as [rows, 5]',
  ],
  ['reshape of numbers', () => reshape(value([2, 3]), [7]), 'reshape: as many elements as [7], got float32[2, 3]'],
  ['squeeze of an axis of size 3', () => squeeze(value([3, 1]), [0]), 'squeeze: size 1 in axes 0'],
  [
    'transpose by no permutation',
    () => transpose(value([2, 3]), [0, 0]),
    'transpose: a permutation of the axes, with 0,0',
  ],
  ['expand to a smaller shape', () => expand(value(['rows', 3]), [1, 3]), 'expand: a shape that broadcasts to [1, 3]'],
  [
    'values of two graphs',
    () => add(value([2]), new Graph().input('other', 'float32', [2])),
    'add: one or more values of one graph',
  ],
];

describe('shape rules', () => {
  it.each(good)('%s', (_, build, expected) => {
    graph = new Graph();
    expect(signature(build())).toBe(expected);
  });

  it.each(bad)('refuse %s', (_, build, message) => {
    graph = new Graph();
    expect(build).toThrow(message);
  });
});

describe('a graph', () => {
  const location: TensorLocation = { file: '/w/a', dtype: 'bfloat16', shape: [2, 3], offsetBytes: 5, sizeBytes: 12 };

  it('holds a number once', () => {
    graph = new Graph({ floatDtype: 'float64' });
    expect(graph.scalar(2)).toBe(graph.scalar(2));
    expect(graph.scalar(0)).not.toBe(graph.scalar(-0));
    expect(signature(graph.scalar(2))).toBe('float64[]');
  });

  it('holds a stored weight once, in its float dtype', () => {
    graph = new Graph();
    expect(graph.weight(location)).toBe(graph.weight({ ...location }));
    expect(graph.weight(location)).not.toBe(graph.weight({ ...location, offsetBytes: 17 }));
    expect(signature(graph.weight(location))).toBe('float32[2, 3]');
  });

  it('refuses weights that are no floats', () => {
    expect(() => new Graph().weight({ ...location, dtype: 'int8' })).toThrow('weight: one of float16, bfloat16');
  });

  it('refuses names that are taken or its own, and feeds that cannot be', () => {
    graph = new Graph();
    const x = graph.input('x', 'float32', []);
    expect(() => graph.output('x', x)).toThrow('output name: not empty, not taken');
    expect(() => graph.input('%1', 'float32', [])).toThrow('input name: not empty');
    expect(() => graph.input('y', 'bfloat16', [])).toThrow('input y: a dtype that can be fed, got bfloat16');
    expect(() => new Graph().output('y', x)).toThrow('output y: a value of this graph');
  });
});
