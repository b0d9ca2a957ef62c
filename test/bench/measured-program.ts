import type { KeyCollection, KeyMomentProgram, ValueSearch } from '../../src/editing/index.js';
import type { Graph } from '../../src/graph/index.js';
import type { Program, ProgramInput } from '../../src/runtime/index.js';
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

  constructor(
    private readonly program: Program,
    private readonly graph: Graph,
  ) {}

  get inputs(): readonly ProgramInput[] {
    return this.program.inputs;
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const start = nowSeconds();
    const outputs = await this.program.run(feeds);
    this.seconds += nowSeconds() - start;
    const sizes = symbolSizes(this.inputs, feeds);
    this.flops += gemmFlops(this.graph, sizes);
    this.attentionFlops += attentionFlops(this.graph, sizes);
    this.runs++;
    return outputs;
  }

  reset(): void {
    this.seconds = this.flops = this.attentionFlops = this.runs = 0;
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}

/** The programs of a value search, in the order in which it uses them. */
export const searchPrograms = ['below', 'prefix', 'objective'] as const;

/**
 * Puts accounts between a value search and its programs.
 *
 * @param graphs the graphs that the programs were compiled from
 */
export function measureSearch(
  search: ValueSearch,
  graphs: Readonly<Record<(typeof searchPrograms)[number], Graph>>,
): Map<string, MeasuredProgram> {
  const accounts = new Map<string, MeasuredProgram>();
  for (const name of searchPrograms) {
    const program = search[name];
    if (program !== undefined) accounts.set(name, new MeasuredProgram(program, graphs[name]));
  }
  Object.assign(search, Object.fromEntries(accounts));
  return accounts;
}

/**
 * The same for the key moments of text.
 *
 * @param graph the graph that the program was compiled from
 */
export function measureMoments(moments: KeyMomentProgram, graph: Graph): MeasuredProgram {
  const part = 'program';
  const account = new MeasuredProgram(moments[part], graph);
  Object.assign(moments, { [part]: account });
  return account;
}

/** The same for key collection. */
export function measureCollection(collection: KeyCollection, graph: Graph): MeasuredProgram {
  const part = 'program';
  const account = new MeasuredProgram(collection[part], graph);
  Object.assign(collection, { [part]: account });
  return account;
}
