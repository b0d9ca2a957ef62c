/**
 * @file How each peer edits. `momentWeight` and `ridge` were chosen on CounterFact records 0-11. Steps, learning rate, decay, KL
 * weight and the threshold are the published ones, the clamp is ours.
 */

/** Settings of a value search, and where its values are written. */
interface SearchSettings {
  /** Written first to last; the last one is the value layer. */
  readonly layers: readonly number[];
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Largest `|delta|`, as a multiple of `|z|`. */
  readonly clampNormFactor: number;
  readonly klFactor: number;
  /** Loss below which the search of an edit ends. */
  readonly stopLoss: number;
  /** How many edits are sought in one forward pass. */
  readonly editsAtOnce: number;
}

/** Settings of a peer by its method. */
export type PeerSettings = SearchSettings &
  (
    | {
        readonly method: 'memit';
        /** lambda, the weight of `C0` beside `K Kᵀ`. */
        readonly momentWeight: number;
      }
    | {
        readonly method: 'alphaedit';
        /** Eigenvalue of `C0` below which a direction is free to be written. */
        readonly nullThreshold: number;
        /** Weight of `|dW|²`. */
        readonly ridge: number;
      }
  );

const search: SearchSettings = {
  layers: [4, 5, 6],
  steps: 25,
  learningRate: 0.5,
  weightDecay: 0.5,
  clampNormFactor: 4,
  klFactor: 0.0625,
  stopLoss: 0.05,
  editsAtOnce: 20,
};

/** The peers by their names. */
export const peers = {
  MEMIT: { ...search, method: 'memit', momentWeight: 500 },
  AlphaEdit: { ...search, method: 'alphaedit', nullThreshold: 0.02, ridge: 3 },
} as const satisfies Readonly<Record<string, PeerSettings>>;
