/** @file The matrix products of an exported model, and which constants they multiply with. */
import { knownDtype, type OnnxConstant, type OnnxFile, type OnnxFileNode } from '../../graph/index.js';
import type { Dtype } from '../../tensor/index.js';

/** A node that multiplies rows with a constant matrix: `y = x W'`, where W' is the constant or its transpose. */
export interface ConstantProduct {
  readonly node: OnnxFileNode;
  /** The rows that it multiplies. */
  readonly rows: string;
  readonly constant: OnnxConstant;
  /** Whether the constant is stored [columns of y, columns of x]. */
  readonly isTransposed: boolean;
  /** Of rows and result. */
  readonly dtype: Dtype;
}

/** The nodes of a file's main graph, found by their outputs and inputs. */
export class OnnxWiring {
  readonly #producers = new Map<string, OnnxFileNode>();
  readonly #consumers = new Map<string, OnnxFileNode[]>();
  readonly #file: OnnxFile;

  constructor(
    file: OnnxFile,
    readonly nodes = file.nodes,
  ) {
    this.#file = file;
    for (const node of nodes) {
      for (const output of node.outputs) this.#producers.set(output, node);
      for (const input of new Set(node.inputs)) {
        this.#consumers.set(input, [...(this.#consumers.get(input) ?? []), node]);
      }
    }
  }

  /** Every MatMul and Gemm with a constant of a known element type on its right side. */
  constantProducts(): ConstantProduct[] {
    return this.nodes.flatMap((node) => this.#productOf(node) ?? []);
  }

  /**
   * The value that holds the result of a product with its bias. Exporters write the bias as a separate Add, which
   * runtimes fuse with the product only if nothing stands between the two.
   */
  withBias({ node }: ConstantProduct, columns: number): string {
    const result = node.outputs[0]!;
    const [only, ...others] = this.#consumers.get(result) ?? [];
    if (only?.type !== 'Add' || others.length > 0 || this.#file.outputs.includes(result)) return result;
    const addend = this.#file.constant(only.inputs.find((input) => input !== result) ?? '');
    const isBias = addend?.shape.length === 1 && addend.shape[0] === columns;
    return isBias ? only.outputs[0]! : result;
  }

  #productOf(node: OnnxFileNode): ConstantProduct | undefined {
    const isPlain = node.domain === '' && (node.type === 'MatMul' || isPlainGemm(node));
    const source = isPlain ? this.#constantBehind(node.inputs[1]!) : undefined;
    if (source === undefined) return undefined;
    const isSwapped = integerOf(node, 'transB') === 1;
    const [rows] = node.inputs as [string];
    return { node, rows, ...source, isTransposed: source.isTransposed !== isSwapped };
  }

  /** Follows a value through Transpose, Cast and Identity to a constant matrix. */
  #constantBehind(value: string): Pick<ConstantProduct, 'constant' | 'isTransposed' | 'dtype'> | undefined {
    const constant = this.#file.constant(value);
    if (constant !== undefined) {
      const { dtype, shape } = constant;
      return shape.length === 2 && dtype !== undefined ? { constant, isTransposed: false, dtype } : undefined;
    }
    const node = this.#producers.get(value);
    const source = node && isPassage(node) ? this.#constantBehind(node.inputs[0]!) : undefined;
    if (node === undefined || source === undefined) return undefined;
    if (node.type === 'Transpose') return { ...source, isTransposed: !source.isTransposed };
    const dtype = node.type === 'Cast' ? knownDtype(integerOf(node, 'to') ?? 0) : source.dtype;
    return dtype && { ...source, dtype };
  }
}

function isPassage({ type, domain, attributes }: OnnxFileNode): boolean {
  // A matrix has only two permutations: the identity and the transpose.
  const isStill = attributes.perm?.kind === 'ints' && attributes.perm.value[0] === 0;
  return domain === '' && (type === 'Identity' || type === 'Cast' || (type === 'Transpose' && !isStill));
}

function isPlainGemm(node: OnnxFileNode): boolean {
  const { alpha } = node.attributes;
  return node.type === 'Gemm' && integerOf(node, 'transA') !== 1 && (alpha === undefined || alpha.value === 1);
}

function integerOf({ attributes }: OnnxFileNode, name: string): number | undefined {
  const attribute = attributes[name];
  return attribute?.kind === 'int' ? attribute.value : undefined;
}
