import type { Graph } from '../../src/graph/index.js';
import { compile, type Program, type ProgramInput } from '../../src/runtime/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import { nowSeconds } from './clock.js';
import { attentionFlops, gemmFlops, symbolSizes } from './flops.js';

/** A program that keeps account of the time and the arithmetic of its runs. */
export class MeasuredProgram implements Program {
  seconds = 0;
  flops = 0;
  /** Of attention's batched products. */
  attentionFlops = 0;
  runs = 0;
  readonly #program: Program;
  readonly #graph: Graph;

  constructor(program: Program, graph: Graph) {
    this.#program = program;
    this.#graph = graph;
  }

  get inputs(): readonly ProgramInput[] {
    return this.#program.inputs;
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const start = nowSeconds();
    const outputs = await this.#program.run(feeds);
    this.seconds += nowSeconds() - start;
    const sizes = symbolSizes(this.inputs, feeds);
    this.flops += gemmFlops(this.#graph, sizes);
    this.attentionFlops += attentionFlops(this.#graph, sizes);
    this.runs++;
    return outputs;
  }

  reset(): void {
    this.seconds = this.flops = this.attentionFlops = this.runs = 0;
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }
}

/** Compiles like {@link compile}, and keeps account of every program that it has made. */
export function measuredCompiler(): {
  readonly programs: readonly MeasuredProgram[];
  readonly compile: typeof compile;
} {
  const programs: MeasuredProgram[] = [];
  return {
    programs,
    compile: async (graph, options) => {
      const program = new MeasuredProgram(await compile(graph, options), graph);
      programs.push(program);
      return program;
    },
  };
}
