import { describe, expect, it } from 'vitest';
import { abs } from '../../../src/graph/elementwise.js';
import {
  add,
  argMax,
  cast,
  concat,
  div,
  equal,
  erf,
  exp,
  Graph,
  gather,
  gatherElements,
  gemm,
  gradient,
  greaterOrEqual,
  log,
  logSoftmax,
  matMul,
  maximum,
  mul,
  neg,
  reciprocal,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  sigmoid,
  slice,
  softmax,
  sqrt,
  squeeze,
  sub,
  takeRows,
  tanh,
  transpose,
  unsqueeze,
  type Value,
  where,
} from '../../../src/graph/index.js';
import { scatterElementsAdd, scatterRowsAdd } from '../../../src/graph/indexing.js';
import { topK } from '../../../src/graph/reductions.js';
import { expand, sliceAfter } from '../../../src/graph/shaping.js';
import { expectGradient, type Feed, floats, integers } from './directional-difference.js';

interface Case {
  readonly name: string;
  readonly feeds: readonly Feed[];
  readonly build: (inputs: readonly Value[], graph: Graph) => Value;
}

const matrixA = floats(['rows', 3], [4, 3], 1);
const positive = floats(['rows', 3], [4, 3], 2, true);

function unaryCase(name: string, operator: (x: Value) => Value, feed: Feed = matrixA): Case {
  return { name, feeds: [feed], build: ([x]) => operator(x!) };
}

function pairCases(name: string, operator: (a: Value, b: Value) => Value): readonly Case[] {
  const build: Case['build'] = ([a, b]) => operator(a!, b!);
  const right = floats([3], [3], 4, true);
  const column = floats(['rows', 1], [4, 1], 5, true);
  return [
    { name: `${name} of equal shapes`, feeds: [matrixA, positive], build },
    { name: `${name} with a row broadcast on the right`, feeds: [matrixA, right], build },
    { name: `${name} with a row broadcast on the left`, feeds: [right, positive], build },
    { name: `${name} with a column broadcast`, feeds: [column, positive], build },
    { name: `${name} of a column and a row`, feeds: [column, right], build },
    { name: `${name} of a symbol beside 1`, feeds: [floats([1, 3], [1, 3], 6), positive], build },
    { name: `${name} with a scalar`, feeds: [matrixA, floats([], [], 8, true)], build },
  ];
}

const gemmCases: readonly Case[] = [false, true].flatMap((transA) =>
  [false, true].map((transB) => ({
    name: `gemm with transA ${transA}, transB ${transB}, alpha and bias`,
    feeds: [
      transA ? floats([3, 'rows'], [3, 4], 1) : matrixA,
      transB ? floats([5, 3], [5, 3], 2) : floats([3, 5], [3, 5], 2),
      floats([5], [5], 3),
    ],
    build: ([a, b, bias]: readonly Value[]) => gemm(a!, b!, { transA, transB, alpha: 0.3, bias: bias! }),
  })),
);

const matMulCases: readonly Case[] = [false, true].flatMap((transA) =>
  [false, true].map((transB) => ({
    name: `matMul with transA ${transA}, transB ${transB} and a batch axis broadcast`,
    feeds: [
      floats(['batch', 2, ...(transA ? [3, 4] : [4, 3])], [2, 2, ...(transA ? [3, 4] : [4, 3])], 1),
      floats(['batch', 1, ...(transB ? [5, 3] : [3, 5])], [2, 1, ...(transB ? [5, 3] : [3, 5])], 2),
    ],
    build: ([a, b]: readonly Value[]) => matMul(a!, b!, { transA, transB }),
  })),
);

const cases: readonly Case[] = [
  ...pairCases('add', add),
  ...pairCases('sub', sub),
  ...pairCases('mul', mul),
  ...pairCases('div', div),
  ...pairCases('maximum', (a, b) => maximum(a, mul(b, 0.3))),
  unaryCase('neg', neg),
  unaryCase('exp', exp),
  unaryCase('log', log, positive),
  unaryCase('sqrt', sqrt, positive),
  unaryCase('reciprocal', reciprocal, positive),
  unaryCase('sigmoid', sigmoid),
  unaryCase('tanh', tanh),
  unaryCase('abs', abs),
  unaryCase('x * sigmoid(x), used once forward and once backward', (x) => mul(x, sigmoid(x))),
  unaryCase('a value used on several paths', (x) => add(mul(x, exp(x)), mul(sub(x, 1), tanh(x)))),
  {
    name: 'where with a broadcast condition',
    feeds: [matrixA, floats([3], [3], 4), floats(['rows', 1], [4, 1], 5)],
    build: ([a, b, x]) => where(greaterOrEqual(x!, 0), a!, mul(b!, x!)),
  },
  ...gemmCases,
  { name: 'gemm of a matrix with itself', feeds: [matrixA], build: ([x]) => gemm(x!, x!, { transB: true }) },
  {
    name: 'gemm with a bias of the full shape',
    feeds: [matrixA, floats([3, 5], [3, 5], 2), floats(['rows', 5], [4, 5], 3)],
    build: ([a, b, bias]) => gemm(a!, b!, { bias: bias! }),
  },
  ...matMulCases,
  {
    name: 'matMul of a batch and a shared matrix',
    feeds: [floats(['batch', 2, 4, 3], [2, 2, 4, 3], 1), floats([3, 5], [3, 5], 2)],
    build: ([a, b]) => matMul(a!, b!),
  },
  {
    name: 'matMul that absorbs transpositions',
    feeds: [floats(['batch', 4, 3], [2, 4, 3], 1), floats(['batch', 5, 3], [2, 5, 3], 2)],
    build: ([a, b]) => matMul(transpose(transpose(a!, [0, 2, 1]), [0, 2, 1]), transpose(b!, [0, 2, 1])),
  },
  unaryCase('softmax', softmax),
  unaryCase('logSoftmax', logSoftmax),
  unaryCase('reduceSum of one axis', (x) => reduceSum(x, [0])),
  unaryCase('reduceSum that keeps axes', (x) => reduceSum(x, [-1], { keepDims: true })),
  unaryCase('reduceSum of all axes', (x) => reduceSum(x, [1, 0])),
  unaryCase('reduceMean over a numeric axis', (x) => reduceMean(mul(x, x), [-1], { keepDims: true })),
  unaryCase('reduceMean over a symbolic axis', (x) => reduceMean(mul(x, x), [0])),
  unaryCase('reduceMean over all axes', (x) => reduceMean(mul(x, x), [0, 1])),
  unaryCase('reduceMax', (x) => reduceMax(x, [-1])),
  unaryCase('reduceMax that keeps axes', (x) => reduceMax(x, [0], { keepDims: true })),
  {
    name: 'gather with repeated indices from a symbolic table',
    feeds: [matrixA, integers(['batch', 3], [2, 3], [0, 2, 2, 3, 0, -2])],
    build: ([table, indices]) => gather(table!, indices!),
  },
  {
    name: 'gather of one row',
    feeds: [floats([4, 2, 3], [4, 2, 3], 1), integers([], [], [2])],
    build: ([table, index]) => gather(table!, index!),
  },
  {
    name: 'takeRows to a rectangle, its padding masked',
    feeds: [
      matrixA,
      integers(['batch', 'tokens'], [2, 3], [0, 1, 2, 3, 0, 0]),
      integers(['rows'], [4], [0, 1, 2, 3]),
      floats(['batch', 'tokens', 1], [2, 3, 1], 3),
    ],
    build: ([x, index, inverse, any], graph) => {
      const padded = takeRows(x!, index!, inverse!);
      const isFirstRow = cast(
        equal(index!, graph.constant({ dtype: 'int64', shape: [], data: BigInt64Array.of(0n) })),
        'float64',
      );
      const mask = unsqueeze(sub(1, isFirstRow), [-1]);
      return add(mul(mul(padded, mask), padded), any!);
    },
  },
  {
    name: 'takeRows back from a rectangle, its padding taken nowhere',
    feeds: [
      floats(['batch', 'tokens', 3], [2, 3, 3], 1),
      integers(['rows'], [4], [0, 1, 2, 3]),
      integers(['batch*tokens'], [6], [0, 1, 2, 3, -1, -1]),
    ],
    build: ([x, index, inverse]) =>
      takeRows(reshape(mul(x!, x!), ['batch*tokens', 3]), index!, inverse!, { partial: true }),
  },
  {
    name: 'gatherElements with repeated indices',
    feeds: [matrixA, integers(['rows', 2], [4, 2], [0, 0, 1, 2, 2, 2, 0, 1])],
    build: ([x, indices]) => gatherElements(x!, indices!),
  },
  {
    name: 'scatterRowsAdd',
    feeds: [matrixA, integers([3], [3], [1, 1, 0]), floats([3, 3], [3, 3], 2)],
    build: ([base, indices, updates]) => scatterRowsAdd(base!, indices!, updates!),
  },
  {
    name: 'scatterElementsAdd',
    feeds: [matrixA, integers(['rows', 2], [4, 2], [0, 0, 1, 2, 2, 2, 0, 1]), floats(['rows', 2], [4, 2], 2)],
    build: ([base, indices, updates]) => scatterElementsAdd(base!, indices!, updates!),
  },
  {
    name: 'concat along a symbolic axis, one value twice',
    feeds: [matrixA, floats(['prefix', 3], [2, 3], 2), floats([2, 3], [2, 3], 3)],
    build: ([a, b, c]) => concat([b!, a!, c!, a!], 0),
  },
  { name: 'concat along the last axis', feeds: [matrixA, positive], build: ([a, b]) => concat([a!, b!], -1) },
  unaryCase('slice with an end', (x) => slice(x, 1, 1, 2)),
  unaryCase('slice with negative bounds', (x) => slice(x, 0, -3, -1)),
  unaryCase('slice of a symbolic axis to its end', (x) => slice(x, 0, 1)),
  {
    name: 'sliceAfter the size of another value',
    feeds: [matrixA, floats(['prefix', 3], [2, 3], 2)],
    build: ([a, b]) => sliceAfter(concat([mul(b!, b!), a!], 0), 0, b!, 0),
  },
  {
    name: 'reshape with symbols, -1 and a run-time shape',
    feeds: [floats(['batch', 'tokens', 6], [2, 3, 6], 1)],
    build: ([x]) => {
      const heads = transpose(reshape(mul(x!, x!), ['batch', 'tokens', 2, 3]), [0, 2, 1, 3]);
      return reshape(reshape(heads, ['2*batch', 'tokens', 3]), ['batch*tokens', 6]);
    },
  },
  unaryCase('unsqueeze and squeeze', (x) => squeeze(mul(unsqueeze(x, [0, -1]), 2), [-1])),
  unaryCase('transpose', (x) => transpose(mul(x, x), [1, 0])),
  {
    name: 'transpose of rank four',
    feeds: [floats(['batch', 2, 3, 4], [2, 2, 3, 4], 1)],
    build: ([x]) => transpose(x!, [2, 0, 3, 1]),
  },
  {
    name: 'expand to symbols',
    feeds: [floats([1, 3], [1, 3], 1), floats(['rows', 2], [4, 2], 2)],
    build: ([x, y]) => mul(expand(x!, [2, 'rows', 3]), reduceSum(y!, [1], { keepDims: true })),
  },
  unaryCase('cast to float32 and back', (x) => cast(cast(mul(x, 0.5), 'float64'), 'float64')),
];

describe('gradient rules against central differences in float64', () => {
  it.each(cases)('$name', async ({ feeds, build }) => {
    await expectGradient(feeds, build);
  });

  it('erf, in float32 because the CPU has no float64 kernel', async () => {
    await expectGradient([matrixA], ([x]) => erf(x!), { dtype: 'float32', step: 1e-2, relative: 1e-3 });
  });

  it('cast through float32', async () => {
    await expectGradient([matrixA], ([x]) => cast(mul(cast(x!, 'float32'), 0.5), 'float64'), {
      step: 1e-2,
      relative: 1e-5,
    });
  });

  it('a gradient of a gradient', async () => {
    await expectGradient([matrixA, floats([3, 2], [3, 2], 2)], ([x, w]) => {
      const loss = reduceSum(softmax(gemm(tanh(x!), w!)), [0, 1]);
      const squared = reduceSum(mul(exp(gemm(x!, w!)), gemm(x!, w!)), [0, 1]);
      return gradient(add(loss, squared), [w!])[0]!;
    });
  });
});

describe('gradient', () => {
  function scalarGraph() {
    const graph = new Graph({ floatDtype: 'float64' });
    return { graph, x: graph.input('x', 'float64', ['rows', 3]), y: graph.input('y', 'float64', ['rows', 3]) };
  }

  it('refuses a loss that is no scalar', () => {
    const { x } = scalarGraph();
    expect(() => gradient(x, [x])).toThrow('gradient: a loss that is a float scalar, got float64[rows, 3]');
  });

  it('refuses a value that the loss does not depend on', () => {
    const { x, y } = scalarGraph();
    expect(() => gradient(reduceSum(x, [0, 1]), [y])).toThrow('values that the loss depends on, got float64[rows, 3]');
  });

  it('refuses a path through an operator without gradient and names it', () => {
    const { x } = scalarGraph();
    const loss = reduceSum(topK(x, 2).values, [0, 1]);
    expect(() => gradient(loss, [x])).toThrow('a path of differentiable operators, got topK');
  });

  it('lets nothing flow through masks and indices', async () => {
    await expectGradient([matrixA], ([x]) => {
      const best = unsqueeze(argMax(x!), [-1]);
      return mul(gatherElements(x!, best), cast(greaterOrEqual(x!, 0), 'float64'));
    });
  });

  it('of the loss itself is one', async () => {
    const { x } = scalarGraph();
    const loss = reduceSum(x, [0, 1]);
    expect(gradient(loss, [loss])[0]!.shape).toEqual([]);
  });
});
