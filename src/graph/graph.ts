/** @file The graph: values and the nodes that make them, in order of recording. */
import { InvalidInputError } from '../errors.js';
import { type Dtype, type Tensor, type TensorLocation, tensor } from '../tensor/index.js';
import { type Dim, isSymbol, normalizeDim } from './dim.js';
import type { OperatorAttributes, OperatorName } from './operator-attributes.js';

/** One tensor of a graph, not computed yet. */
export interface Value {
  readonly id: number;
  readonly graph: Graph;
  readonly dtype: Dtype;
  readonly shape: readonly Dim[];
}

/** Dtype and shape of a result. */
export interface Signature {
  readonly dtype: Dtype;
  readonly shape: readonly Dim[];
}

/** One use of an operator. */
export interface Node<Name extends OperatorName = OperatorName> {
  readonly operator: Name;
  readonly attributes: OperatorAttributes[Name];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** Where a value that no node makes comes from. */
export type Source =
  | { readonly kind: 'input'; readonly name: string; readonly value: Value }
  | { readonly kind: 'constant'; readonly tensor: Tensor; readonly value: Value }
  | { readonly kind: 'weight'; readonly location: TensorLocation; readonly value: Value };

/** The element types that gradients flow through and weights are cast to. */
export type FloatDtype = 'float32' | 'float64';

/** Settings of a graph. */
export interface GraphOptions {
  /** The element type of scalars and weights; float32 by default. */
  readonly floatDtype?: FloatDtype;
}

const FLOAT_STORAGE: readonly Dtype[] = ['float16', 'bfloat16', 'float32', 'float64'];

/**
 * A computation under construction. Operators are free functions over its values (`add(a, b)`). Nodes that no output
 * needs are dropped when the graph is encoded.
 */
export class Graph {
  readonly floatDtype: FloatDtype;
  readonly #nodes: Node[] = [];
  readonly #sources: Source[] = [];
  readonly #outputs = new Map<string, Value>();
  readonly #producers = new Map<number, Node>();
  readonly #shared = new Map<string, Value>();
  readonly #symbols = new Map<string, { readonly value: Value; readonly axis: number }>();
  #nextId = 0;

  constructor(options: GraphOptions = {}) {
    this.floatDtype = options.floatDtype ?? 'float32';
  }

  /** All nodes in order of recording, needed or not. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** Inputs, constants and weights in order of recording. */
  get sources(): readonly Source[] {
    return this.#sources;
  }

  /** The named results. */
  get outputs(): ReadonlyMap<string, Value> {
    return this.#outputs;
  }

  /**
   * A tensor that is fed at every run. It declares the bare symbols of its shape.
   *
   * @throws {InvalidInputError} if the name is taken, begins with `%`, or the dtype cannot be fed (bfloat16)
   */
  input(name: string, dtype: Dtype, shape: readonly Dim[]): Value {
    this.#checkName('input', name);
    if (dtype === 'bfloat16') throw new InvalidInputError(`input ${name}`, 'a dtype that can be fed', dtype);
    const value = this.#value(dtype, shape.map(normalizeDim));
    this.#sources.push({ kind: 'input', name, value });
    this.declareSymbols(value);
    return value;
  }

  /** A tensor stored inside the graph. */
  constant(content: Tensor): Value {
    const value = this.#value(content.dtype, content.shape);
    this.#sources.push({ kind: 'constant', tensor: content, value });
    return value;
  }

  /** A number of the graph's float dtype (or the given one), shape `[]`. Equal numbers share one value. */
  scalar(number: number, dtype: FloatDtype = this.floatDtype): Value {
    return this.once(`scalar ${dtype} ${Object.is(number, -0) ? '-0' : number}`, () => {
      const content = dtype === 'float64' ? Float64Array.of(number) : Float32Array.of(number);
      return this.constant(tensor<Dtype>(dtype, [], content));
    });
  }

  /**
   * A stored tensor, read from its file when the graph is compiled, and cast to the graph's float dtype. Equal
   * locations share one value.
   *
   * @throws {InvalidInputError} if the stored dtype is not a float
   */
  weight(location: TensorLocation): Value {
    if (!FLOAT_STORAGE.includes(location.dtype)) {
      throw new InvalidInputError('weight', `one of ${FLOAT_STORAGE.join(', ')}`, location.dtype);
    }
    const { file, dtype, shape, offsetBytes } = location;
    return this.once(`weight ${offsetBytes} ${dtype} ${shape} ${file}`, () => {
      const stored = this.#value(dtype, shape);
      this.#sources.push({ kind: 'weight', location, value: stored });
      const to = this.floatDtype;
      return dtype === to ? stored : this.append('cast', [stored], { to }, [{ dtype: to, shape }])[0]!;
    });
  }

  /**
   * Names a value as a result of every run.
   *
   * @throws {InvalidInputError} if the name is taken or begins with `%`, or the value belongs to another graph
   */
  output(name: string, value: Value): void {
    this.#checkName('output', name);
    if (value.graph !== this) throw new InvalidInputError(`output ${name}`, 'a value of this graph', 'one of another');
    this.#outputs.set(name, value);
  }

  /** The value of this key, which is built at the first call. */
  once(key: string, build: () => Value): Value {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const value = build();
    this.#shared.set(key, value);
    return value;
  }

  /** Records a node. Operators call it after their shape rule. */
  append<Name extends OperatorName>(
    operator: Name,
    inputs: readonly Value[],
    attributes: OperatorAttributes[Name],
    signatures: readonly Signature[],
  ): readonly Value[] {
    const outputs = signatures.map(({ dtype, shape }) => this.#value(dtype, shape));
    const node: Node = { operator, attributes, inputs, outputs };
    this.#nodes.push(node);
    for (const output of outputs) this.#producers.set(output.id, node);
    return outputs;
  }

  /** The node that makes a value; undefined for inputs, constants and weights. */
  producer(value: Value): Node | undefined {
    return this.#producers.get(value.id);
  }

  /** Makes a value the run-time source of those of its bare symbols that have none yet. */
  declareSymbols(value: Value): void {
    value.shape.forEach((dim, axis) => {
      if (isSymbol(dim) && !this.#symbols.has(dim)) this.#symbols.set(dim, { value, axis });
    });
  }

  /** The value and axis that declare a symbol, or undefined. */
  symbolSource(symbol: string): { readonly value: Value; readonly axis: number } | undefined {
    return this.#symbols.get(symbol);
  }

  #value(dtype: Dtype, shape: readonly Dim[]): Value {
    return new GraphValue(this.#nextId++, this, dtype, shape);
  }

  #checkName(kind: string, name: string): void {
    const taken =
      this.#outputs.has(name) || this.#sources.some((source) => source.kind === 'input' && source.name === name);
    if (taken || name === '' || name.startsWith('%')) {
      throw new InvalidInputError(`${kind} name`, 'not empty, not taken, not beginning with %', JSON.stringify(name));
    }
  }
}

class GraphValue implements Value {
  constructor(
    readonly id: number,
    readonly graph: Graph,
    readonly dtype: Dtype,
    readonly shape: readonly Dim[],
  ) {}
}
