/** @file Symbolic sizes: integer polynomials over names, written as canonical strings. */
import { InvalidInputError } from '../errors.js';

/**
 * The size of one axis: a number, or a symbol such as `'rows'`. Equal names mean equal sizes. Sums and products of
 * symbols are symbols too (`'prefix+suffix'`, `'batch*tokens'`, `'tokens-1'`), in alphabetical order with the constant
 * last.
 */
export type Dim = number | string;

/**
 * A polynomial: from monomial (`'batch*tokens'`, `''` for the constant) to its coefficient, zero coefficients left out.
 */
export type Polynomial = ReadonlyMap<string, number>;

const TERM = /([+-]?)([^+-]+)/gy;
const SYMBOL = /^[A-Za-z_][\w.]*$/;

/** @throws {InvalidInputError} if the text is not a sum of products of names and integers */
export function parseDim(dim: Dim): Polynomial {
  if (typeof dim === 'number') {
    if (!Number.isSafeInteger(dim)) throw new InvalidInputError('dimension', 'an integer', String(dim));
    return polynomial([['', dim]]);
  }
  const terms = [...dim.matchAll(TERM)];
  if (dim.length === 0 || terms.map((term) => term[0]).join('') !== dim) throw malformed(dim);
  return polynomial(terms.map(([, sign, text]) => parseTerm(text!.trim(), sign === '-' ? -1 : 1, dim)));
}

function parseTerm(text: string, sign: number, dim: string): readonly [string, number] {
  let coefficient = sign;
  const symbols: string[] = [];
  for (const factor of text.split('*').map((part) => part.trim())) {
    if (/^\d+$/.test(factor)) coefficient *= Number(factor);
    else if (SYMBOL.test(factor)) symbols.push(factor);
    else throw malformed(dim);
  }
  return [symbols.sort().join('*'), coefficient];
}

function malformed(dim: string): InvalidInputError {
  return new InvalidInputError('dimension', 'a sum of products of names and integers', JSON.stringify(dim));
}

function polynomial(terms: Iterable<readonly [string, number]>): Polynomial {
  const sum = new Map<string, number>();
  for (const [monomial, coefficient] of terms) sum.set(monomial, (sum.get(monomial) ?? 0) + coefficient);
  for (const [monomial, coefficient] of sum) if (coefficient === 0) sum.delete(monomial);
  return sum;
}

function formatPolynomial(terms: Polynomial): Dim {
  const constant = terms.get('') ?? 0;
  const monomials = [...terms.keys()].filter((monomial) => monomial !== '').sort();
  if (monomials.length === 0) return constant;
  const texts = monomials.map((monomial) => formatTerm(monomial, terms.get(monomial)!));
  if (constant !== 0) texts.push(constant < 0 ? String(constant) : `+${constant}`);
  return texts.join('').replace(/^\+/, '');
}

function formatTerm(monomial: string, coefficient: number): string {
  const size = Math.abs(coefficient);
  return `${coefficient < 0 ? '-' : '+'}${size === 1 ? '' : `${size}*`}${monomial}`;
}

/** The canonical form of a size: `'suffix + prefix'` becomes `'prefix+suffix'`, `'3'` becomes `3`. */
export function normalizeDim(dim: Dim): Dim {
  return formatPolynomial(parseDim(dim));
}

/** The sum of sizes, each times a factor: `addDims(['prefix', 1], ['suffix', 1])` is `'prefix+suffix'`. */
export function addDims(...terms: readonly (readonly [dim: Dim, factor: number])[]): Dim {
  const scaled = terms.flatMap(([dim, factor]) =>
    [...parseDim(dim)].map(([key, value]) => [key, value * factor] as const),
  );
  return formatPolynomial(polynomial(scaled));
}

/** The product of sizes; of none it is 1. */
export function multiplyDims(dims: readonly Dim[]): Dim {
  let product: Polynomial = polynomial([['', 1]]);
  for (const dim of dims) {
    const factor = [...parseDim(dim)];
    product = polynomial(
      [...product].flatMap(([left, a]) => factor.map(([right, b]) => [joinMonomials(left, right), a * b] as const)),
    );
  }
  return formatPolynomial(product);
}

function joinMonomials(left: string, right: string): string {
  return [...left.split('*'), ...right.split('*')]
    .filter((symbol) => symbol !== '')
    .sort()
    .join('*');
}

/** The names in a size, without repetition. */
export function symbolsOf(dim: Dim): readonly string[] {
  if (typeof dim === 'number') return [];
  return [
    ...new Set([...parseDim(dim).keys()].flatMap((monomial) => monomial.split('*')).filter((name) => name !== '')),
  ];
}

/** Whether a size is one bare name, which an input or a reshape can declare. */
export function isSymbol(dim: Dim): dim is string {
  return typeof dim === 'string' && SYMBOL.test(dim);
}

/** The number a size stands for, or undefined while one of its names has no number yet. */
export function evaluateDim(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  let total = 0;
  for (const [monomial, coefficient] of parseDim(dim)) {
    let term = coefficient;
    for (const symbol of monomial.split('*').filter((name) => name !== '')) {
      const size = sizes.get(symbol);
      if (size === undefined) return undefined;
      term *= size;
    }
    total += term;
  }
  return total;
}

/** A shape as text: `[rows, 3]`. */
export function formatShape(shape: readonly Dim[]): string {
  return `[${shape.join(', ')}]`;
}

/** Whether two shapes are the same, name by name. */
export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/**
 * The shape that several shapes broadcast to, aligned at the last axis; a size of 1 gives way to any other.
 *
 * @throws {InvalidInputError} if two sizes in one position differ and neither is 1, or are different symbols
 */
export function broadcastShapes(operator: string, ...shapes: readonly (readonly Dim[])[]): readonly Dim[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (dim === 1 || dim === result) continue;
      if (result !== 1) {
        const got = shapes.map(formatShape).join(' and ');
        throw new InvalidInputError(operator, 'shapes that broadcast (equal sizes or 1 in each position)', got);
      }
      result = dim;
    }
    return result;
  });
}

/**
 * An axis counted from the front.
 *
 * @throws {InvalidInputError} if the shape has no such axis
 */
export function normalizeAxis(operator: string, axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || index < 0 || index >= rank) {
    throw new InvalidInputError(operator, `an axis of a tensor of rank ${rank}`, String(axis));
  }
  return index;
}
