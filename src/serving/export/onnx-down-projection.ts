/** @file Finds the down-projections of a model in an export of it, by comparing weights. */
import { createHash } from 'node:crypto';
import { InvalidInputError } from '../../errors.js';
import type { OnnxFile } from '../../graph/index.js';
import { type Model, readDownProjection } from '../../model/index.js';
import { type Tensor, tensorBytes, zeros } from '../../tensor/index.js';
import { type ConstantProduct, OnnxWiring } from './onnx-weights.js';
import { roundedTensor, type WeightDtype, weightDtypes, wideValues } from './rounded-tensor.js';

/** Where a layer's hook belongs in an exported model. */
export interface OnnxSite {
  readonly layer: number;
  /** The product's node. */
  readonly node: string;
  /** The constant that holds its weight. */
  readonly weight: string;
  /** Value that the weight is multiplied with, [..., dInner]. */
  readonly keys: string;
  /** Value that the product makes, its bias included, [..., dModel]. */
  readonly output: string;
  /** Element type of both. */
  readonly dtype: WeightDtype;
}

interface Candidate extends ConstantProduct {
  readonly stored: WeightDtype;
}

/**
 * Finds the down-projections of some layers. Weights are compared by the SHA-256 of their elements in the file's
 * element type and layout, one at a time.
 *
 * @throws {InvalidInputError} if a layer's weight is missing, or is used in several products
 */
export async function findDownProjections(
  file: OnnxFile,
  model: Model,
  layers: readonly number[],
): Promise<OnnxSite[]> {
  const wiring = new OnnxWiring(file);
  const { dModel } = model.config;
  const candidates = wiring.constantProducts().filter(isCandidate(model)).map(asCandidate);
  const digests = await constantDigests(file, candidates);
  const sites: OnnxSite[] = [];
  for (const layer of layers) {
    const weight = await readDownProjection(model, layer);
    const expected = new ExpectedDigests(weight);
    const found = candidates.filter((one) => digests.get(one.constant.name) === expected.of(one));
    const [only] = found;
    if (only === undefined || found.length > 1) throw notOne(file, layer, { found, candidates, expected });
    const { node, rows, constant } = only;
    const output = wiring.withBias(only, dModel);
    sites.push({ layer, node: node.name, weight: constant.name, keys: rows, output, dtype: only.dtype as WeightDtype });
  }
  return sites;
}

function isCandidate({ config: { dInner, dModel } }: Model) {
  const isWeight = (dtype: string | undefined) => weightDtypes.some((known) => known === dtype);
  return ({ constant, isTransposed, dtype }: ConstantProduct): boolean => {
    const [rows, columns] = isTransposed ? [dModel, dInner] : [dInner, dModel];
    const fits = constant.shape[0] === rows && constant.shape[1] === columns;
    return fits && isWeight(constant.dtype) && isWeight(dtype);
  };
}

const asCandidate = (product: ConstantProduct): Candidate => ({
  ...product,
  stored: product.constant.dtype as WeightDtype,
});

async function constantDigests(file: OnnxFile, candidates: readonly Candidate[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const name of new Set(candidates.map(({ constant }) => constant.name))) {
    digests.set(name, digestOfElements(await file.readConstant(name)));
  }
  return digests;
}

/** A weight's digests in the element types and layouts of the candidates, each computed once. */
class ExpectedDigests {
  readonly #known = new Map<string, string>();
  readonly #weight: Tensor<'float32'>;

  /** @param weight [dModel, dInner] */
  constructor(weight: Tensor<'float32'>) {
    this.#weight = weight;
  }

  of({ stored, isTransposed }: Pick<Candidate, 'stored' | 'isTransposed'>): string {
    const key = `${stored} ${isTransposed}`;
    const digest = this.#known.get(key) ?? digestOfElements(this.#written(stored, isTransposed));
    this.#known.set(key, digest);
    return digest;
  }

  #written(dtype: WeightDtype, isTransposed: boolean): Tensor {
    const { shape } = this.#weight;
    const rounded = dtype === 'float32' ? this.#weight : roundedTensor(dtype, shape, wideValues(this.#weight));
    return isTransposed ? rounded : turned(rounded);
  }
}

/** The transpose of a matrix. */
function turned({ dtype, shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as [number, number];
  const result = zeros(dtype, [columns, rows]);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result.data[column * rows + row] = data[row * columns + column]!;
  }
  return result;
}

/** Float16 numbers this near to zero (in steps of 2^-24) count as zero, because converters raise tiny ones to 1e-7. */
const tinySteps = 2;

function digestOfElements(tensor: Tensor): string {
  const hash = createHash('sha256');
  if (tensor.dtype !== 'float16') return hash.update(tensorBytes(tensor)).digest('hex');
  const data = (tensor.data as Uint16Array).map((bits) => ((bits & 0x7fff) <= tinySteps ? 0 : bits));
  return hash.update(tensorBytes({ ...tensor, data })).digest('hex');
}

interface Search {
  readonly found: readonly Candidate[];
  readonly candidates: readonly Candidate[];
  readonly expected: ExpectedDigests;
}

function notOne(file: OnnxFile, layer: number, { found, candidates, expected }: Search): InvalidInputError {
  const digest = expected.of(found[0] ?? candidates[0] ?? { stored: 'float32', isTransposed: true });
  const nodes = found.map(({ node }) => node.name).join(', ');
  const got = found.length > 0 ? `${found.length} (${nodes})` : `none among ${candidates.length} weights of its shape`;
  return new InvalidInputError(
    `${file.path}: down-projection of layer ${layer}`,
    `one MatMul or Gemm whose weight has SHA-256 ${digest}`,
    `${got}${hintOf(file.operatorTypes)}`,
  );
}

/** Possible reasons why existing weights are not found. */
function hintOf(types: ReadonlySet<string>): string {
  const quantised = [...types].filter((type) => /Dequantize|MatMul(NBits|Bnb4|FpQ4|Integer)|QLinear/.test(type));
  if (quantised.length > 0) {
    return `; the file has ${quantised.join(', ')} nodes: weights of a quantised export cannot be matched by digest`;
  }
  return types.has('If') ? '; nodes inside the branches of an If are not looked at' : '';
}
