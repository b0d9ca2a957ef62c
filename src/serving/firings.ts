/** @file The signals of the gates in one run, by sequence. */
import type { Tensor } from '../tensor/index.js';

/** A gate that opened on a token. */
export interface HookFiring {
  readonly layer: number;
  /** Position in the whole sequence. */
  readonly tokenIndex: number;
  /** Row of the hook that opened the gate; -1 for gates that compare no keys. */
  readonly editIndex: number;
  /** Whitened cosine (key, nearest), z-score (sequence gate), NaN (no gate). */
  readonly strength: number;
}

/** The gates of one sequence's rows. */
export interface GateReading {
  /** By layer, then by position. */
  readonly firings: readonly HookFiring[];
  /** [length]: strongest signal of any layer at each row; NaN without a gate. */
  readonly strengths: Float32Array;
  /** Rows at which some layer's gate opened. */
  readonly openRows: number;
}

/** Rows of a sequence in a run: the first one's position in the whole sequence, and how many. */
interface RowSpan {
  readonly past: number;
  readonly length: number;
}

/**
 * Cuts the signals `open.<layer>`, `strength.<layer>`, `edit.<layer>` of a run of the trunk into sequences.
 *
 * @param outputs of a run whose rows are these spans, end to end
 */
export function readGates(
  outputs: Readonly<Record<string, Tensor>>,
  layers: readonly number[],
  spans: readonly RowSpan[],
): GateReading[] {
  const signals = layers.map((layer) => ({
    layer,
    open: outputs[`open.${layer}`].data as Uint8Array,
    strength: outputs[`strength.${layer}`]?.data as Float32Array | undefined,
    edit: outputs[`edit.${layer}`]?.data as BigInt64Array | undefined,
  }));
  let firstRow = 0;
  return spans.map(({ past, length }) => {
    const firings: HookFiring[] = [];
    const strengths = new Float32Array(length).fill(Number.NaN);
    const isOpen = new Uint8Array(length);
    for (const { layer, open, strength, edit } of signals) {
      for (let t = 0; t < length; t++) {
        const row = firstRow + t;
        const signal = strength?.[row] ?? Number.NaN;
        if (!(signal <= strengths[t])) strengths[t] = signal;
        if (open[row] === 0) continue;
        isOpen[t] = 1;
        firings.push({ layer, tokenIndex: past + t, editIndex: Number(edit?.[row] ?? -1), strength: signal });
      }
    }
    firstRow += length;
    return { firings, strengths, openRows: isOpen.reduce((sum, flag) => sum + flag, 0) };
  });
}
