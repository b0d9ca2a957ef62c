/** @file Dense float64 products through ONNX Runtime, for the linear algebra. */
import { type Dim, Graph, gemm } from '../graph/index.js';
import type { GemmEngine, Matrix, ProductOptions } from '../linalg/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { type CompileOptions, compile, type Program } from './program.js';

type Form = Required<Omit<ProductOptions, 'add'>> & { readonly hasAdd: boolean };

/**
 * `alpha op(a) op(b) + add` in float64. It compiles one program for each form of product, which serves all sizes.
 * Dispose of it when done.
 */
export class OnnxGemmEngine implements GemmEngine {
  readonly #programs = new Map<string, Promise<Program>>();

  constructor(readonly options: Pick<CompileOptions, 'device' | 'threads'> = {}) {}

  async gemm(a: Matrix, b: Matrix, options: ProductOptions = {}): Promise<Matrix> {
    const { transA = false, transB = false, alpha = 1, add: addend } = options;
    const program = await this.#program({ transA, transB, alpha, hasAdd: addend !== undefined });
    const feeds = { a: asTensor(a), b: asTensor(b), ...(addend && { addend: asTensor(addend) }) };
    const { product } = await program.run(feeds);
    const [rows, columns] = product!.shape as [number, number];
    return { rows, columns, data: product!.data as Float64Array };
  }

  /** Frees all programs. */
  async dispose(): Promise<void> {
    const programs = await Promise.all(this.#programs.values());
    this.#programs.clear();
    await Promise.all(programs.map((program) => program.dispose()));
  }

  #program(form: Form): Promise<Program> {
    const key = JSON.stringify(form);
    const program = this.#programs.get(key) ?? compile(gemmGraph(form), this.options);
    this.#programs.set(key, program);
    return program;
  }
}

/** Calls a function with an engine of its own, which is disposed of afterwards. */
export async function withGemmEngine<T>(
  use: (engine: GemmEngine) => Promise<T>,
  options?: OnnxGemmEngine['options'],
): Promise<T> {
  const engine = new OnnxGemmEngine(options);
  try {
    return await use(engine);
  } finally {
    await engine.dispose();
  }
}

function gemmGraph({ transA, transB, alpha, hasAdd }: Form): Graph {
  const graph = new Graph({ floatDtype: 'float64' });
  const operand = (name: string, rows: Dim, columns: Dim, transposed = false) =>
    graph.input(name, 'float64', transposed ? [columns, rows] : [rows, columns]);
  const a = operand('a', 'rows', 'inner', transA);
  const b = operand('b', 'inner', 'columns', transB);
  const bias = hasAdd ? { bias: operand('addend', 'rows', 'columns') } : {};
  graph.output('product', gemm(a, b, { transA, transB, alpha, ...bias }));
  return graph;
}

function asTensor({ rows, columns, data }: Matrix): Tensor {
  return tensor('float64', [rows, columns], data);
}
