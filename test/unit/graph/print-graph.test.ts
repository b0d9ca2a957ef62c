import { describe, expect, it } from 'vitest';
import {
  add,
  exp,
  Graph,
  gatherElements,
  gemm,
  gradient,
  logSoftmax,
  matMul,
  mul,
  neg,
  reduceMean,
  reduceSum,
  transpose,
} from '../../../src/graph/index.js';
import { printGraph } from '../../../src/graph/print-graph.js';

describe('printGraph', () => {
  it('leaves out nodes that no output needs', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows']);
    exp(x);
    graph.output('y', add(mul(x, 2), x));
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "input x: float32[rows]
      %0: float32[rows] = mul x 2
      %1: float32[rows] = add %0 x
      y = %1"
    `);
  });

  it('shows that the gradient of a gemm is gemms, without transpositions', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', 4]);
    const weight = graph.input('weight', 'float32', [3, 4]);
    const loss = reduceSum(mul(gemm(x, weight, { transB: true }), 2), [0, 1]);
    const [dx, dWeight] = gradient(loss, [x, weight]);
    graph.output('dx', dx!);
    graph.output('dWeight', dWeight!);
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "input x: float32[rows, 4]
      input weight: float32[3, 4]
      %0: float32[1, 1] = unsqueeze 1 {"axes":[0,1]}
      %1: int64[1] = sizeOf x {"axis":0}
      %2: int64[2] = concat %1 [3] {"axis":0}
      %3: float32[rows, 3] = expand %0 %2 {"shape":["rows",3]}
      %4: float32[rows, 3] = mul %3 2
      %5: float32[rows, 4] = gemm %4 weight {"alpha":1}
      %6: float32[3, 4] = gemm %4 x {"transA":true,"alpha":1}
      dx = %5
      dWeight = %6"
    `);
  });

  it('shows that a product with a transposition, and its gradient, moves no elements', () => {
    const graph = new Graph();
    const queries = graph.input('queries', 'float32', ['batch', 'tokens', 4]);
    const keys = graph.input('keys', 'float32', ['batch', 'past', 4]);
    const loss = reduceSum(matMul(queries, transpose(keys, [0, 2, 1])), [0, 1, 2]);
    const [dKeys] = gradient(loss, [keys]);
    graph.output('dKeys', dKeys!);
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "input queries: float32[batch, tokens, 4]
      input keys: float32[batch, past, 4]
      %0: float32[1, 1, 1] = unsqueeze 1 {"axes":[0,1,2]}
      %1: int64[1] = sizeOf queries {"axis":0}
      %2: int64[1] = sizeOf queries {"axis":1}
      %3: int64[1] = sizeOf keys {"axis":1}
      %4: int64[3] = concat %1 %2 %3 {"axis":0}
      %5: float32[batch, tokens, past] = expand %0 %4 {"shape":["batch","tokens","past"]}
      %6: float32[batch, past, 4] = matMul %5 queries {"transA":true}
      dKeys = %6"
    `);
  });

  it('shows that the gradient of a negative log-likelihood needs no one-hot product', () => {
    const graph = new Graph();
    const logits = graph.input('logits', 'float32', ['rows', 50]);
    const targets = graph.input('targets', 'int64', ['rows', 1]);
    const loss = neg(reduceMean(gatherElements(logSoftmax(logits), targets), [0, 1]));
    graph.output('dLogits', gradient(loss, [logits])[0]!);
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "input logits: float32[rows, 50]
      input targets: int64[rows, 1]
      %0: float32[rows, 50] = logSoftmax logits
      %1: float32[] = neg 1
      %2: int64[1] = sizeOf logits {"axis":0}
      %3: float32[1] = cast %2 {"to":"float32"}
      %4: float32[] = squeeze %3 {"axes":[0]}
      %5: float32[] = div %1 %4
      %6: float32[1, 1] = unsqueeze %5 {"axes":[0,1]}
      %7: int64[2] = concat %2 [1] {"axis":0}
      %8: float32[rows, 1] = expand %6 %7 {"shape":["rows",1]}
      %9: int64[2] = concat %2 [50] {"axis":0}
      %10: float32[rows, 50] = expand 0 %9 {"shape":["rows",50]}
      %11: float32[rows, 50] = scatterElementsAdd %10 targets %8 {"axis":1}
      %12: float32[rows, 50] = exp %0
      %13: float32[rows, 1] = reduceSum %11 {"axes":[1],"keepDims":true}
      %14: float32[rows, 50] = mul %12 %13
      %15: float32[rows, 50] = sub %11 %14
      dLogits = %15"
    `);
  });
});
