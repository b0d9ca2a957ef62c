/** @file What a measurement says. */

/** One measured number. */
export interface Figure {
  readonly what: string;
  /** Whose number it is, where several are compared: each has a column of the table. */
  readonly by?: string;
  readonly value: number;
  readonly unit: string;
  readonly wanted?: { readonly atLeast: number } | { readonly atMost: number };
}

/** The figures of one measurement. */
export interface Measurement {
  readonly name: string;
  readonly figures: readonly Figure[];
  /** What a reader must know to read the figures. */
  readonly note?: string;
}

/** Shorthand of a {@link Figure}. */
export function figure(what: string, value: number, unit: string, wanted?: Figure['wanted']): Figure {
  return { what, value, unit, ...(wanted && { wanted }) };
}

/** Whether the figure is what was wanted; undefined where nothing was. */
export function isMet({ value, wanted }: Figure): boolean | undefined {
  if (wanted === undefined) return undefined;
  return 'atLeast' in wanted ? value >= wanted.atLeast : value <= wanted.atMost;
}
