/** @file Checking what a program is fed. */
import { InvalidInputError } from '../errors.js';
import { type Dim, evaluateDim, formatShape, isSymbol } from '../graph/index.js';
import type { Dtype, Tensor } from '../tensor/index.js';

/** Name, dtype and declared shape of an input. */
export interface ProgramInput {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly Dim[];
}

/**
 * Checks feeds against the declared inputs: none missing, none unknown, right dtypes and shapes, one size per symbol.
 *
 * @throws {InvalidInputError} naming the input, what it was declared as and what it got
 */
export function checkFeeds(inputs: readonly ProgramInput[], feeds: Readonly<Record<string, Tensor>>): void {
  const names = inputs.map((input) => input.name);
  for (const name of Object.keys(feeds)) {
    if (!names.includes(name)) throw new InvalidInputError('feeds', `only the inputs ${names.join(', ')}`, name);
  }
  const sizes = new Map<string, number>();
  for (const input of inputs) bindSymbols(input, feeds[input.name], sizes);
  for (const input of inputs) checkComposites(input, feeds[input.name]!, sizes);
}

function bindSymbols(input: ProgramInput, feed: Tensor | undefined, sizes: Map<string, number>): void {
  if (feed === undefined) throw mismatch(input, 'nothing');
  if (feed.dtype !== input.dtype || feed.shape.length !== input.shape.length) throw mismatch(input, describe(feed));
  input.shape.forEach((dim, axis) => {
    const size = feed.shape[axis]!;
    const expected = isSymbol(dim) ? sizes.get(dim) : dim;
    if (typeof expected === 'number' && expected !== size) {
      throw mismatch(input, `${describe(feed)}${isSymbol(dim) ? ` while ${dim} is ${expected}` : ''}`);
    }
    if (isSymbol(dim)) sizes.set(dim, size);
  });
}

/** Sums and products (`'past+tokens'`), once all bare symbols have their sizes. */
function checkComposites(input: ProgramInput, feed: Tensor, sizes: ReadonlyMap<string, number>): void {
  input.shape.forEach((dim, axis) => {
    const expected = evaluateDim(dim, sizes);
    if (expected !== undefined && expected !== feed.shape[axis]) {
      throw mismatch(input, `${describe(feed)} while ${dim} is ${expected}`);
    }
  });
}

function mismatch(input: ProgramInput, got: string): InvalidInputError {
  return new InvalidInputError(`feed ${input.name}`, `${input.dtype}${formatShape(input.shape)}`, got);
}

function describe(feed: Tensor): string {
  return `${feed.dtype}${formatShape(feed.shape)}`;
}
