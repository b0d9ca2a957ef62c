import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TokenizedSubject } from '../../src/editing/index.js';
import type { KeyText } from '../../src/editing/key-collection.js';
import type { RoundRows } from '../../src/editing/round.js';
import { type Matrix, matrix } from '../../src/linalg/index.js';
import { decodeSafetensors, type Tensor } from '../../src/tensor/index.js';

const root = new URL('../golden/models/', import.meta.url).pathname;

/** The architectures with goldens; see test/golden/models/README.md for every name and shape. */
export const goldenNames: readonly string[] = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith('_'))
  .map((entry) => entry.name);

interface GoldenPrompt {
  readonly ids: number[];
  readonly lookupIndex: number;
}

interface GoldenEdit {
  readonly prompts: GoldenPrompt[];
  readonly targetIds: number[];
  readonly klPrompt: GoldenPrompt;
  readonly keepPrompts: GoldenPrompt[];
}

/** The recorded inputs and settings of `goldens.json`. */
export interface GoldenRecord {
  readonly dimensions: { readonly layers: number };
  readonly sequences: number[][];
  readonly edits: GoldenEdit[];
  readonly moment: { readonly sequences: number[][]; readonly ridges: number[]; readonly tokens: number };
  readonly value: {
    readonly edits: Record<string, number[]>;
    readonly klFactor: number;
    readonly keepFactor: number;
    readonly weightDecay: number;
    readonly clampNormFactor: number;
    readonly learningRate: number;
    readonly steps: number;
  };
  readonly rounds: {
    readonly layers: number[];
    readonly batches: number[][];
    readonly gates: ('key' | 'sequence' | 'none')[];
    readonly momentWeight: number;
    readonly tau: number;
    readonly alpha: number;
    readonly thresholdSlack: number;
  };
}

/** A model's directory with what PyTorch computed on it. */
export class GoldenModel {
  readonly directory: string;
  readonly record: GoldenRecord;
  readonly #arrays: ReadonlyMap<string, Tensor>;

  constructor(name: string) {
    this.directory = join(root, name);
    this.record = JSON.parse(readFileSync(join(this.directory, 'goldens.json'), 'utf8'));
    const path = join(this.directory, 'goldens.safetensors');
    this.#arrays = decodeSafetensors(readFileSync(path), path).tensors;
  }

  array(name: string): Float64Array {
    return Float64Array.from(this.#tensor(name).data as Float64Array | Float32Array | Uint8Array);
  }

  matrix(name: string): Matrix {
    const [rows, columns] = this.#tensor(name).shape;
    return matrix(rows, columns, this.array(name));
  }

  /** A recorded edit as a subject of one fact. It keeps the distribution after each text that is to stay. */
  subject(index: number): TokenizedSubject {
    const { prompts, targetIds, klPrompt, keepPrompts } = this.record.edits[index];
    const texts = prompts.map(({ ids, lookupIndex }) => ({
      tokenIds: [...ids, ...targetIds],
      lookups: [lookupIndex],
      promptTokens: ids.length,
    }));
    const essence = klPrompt.ids.slice(0, klPrompt.lookupIndex + 1);
    return {
      id: `edit-${index}`,
      facts: [{ id: `edit-${index}`, texts }],
      essence: { tokenIds: essence, lookups: [klPrompt.lookupIndex] },
      kept: keepPrompts.map(({ ids, lookupIndex }) => ({
        tokenIds: ids,
        lookups: [lookupIndex],
        positions: [ids.length - 1],
      })),
      forms: [{ tokenIds: prompts[0].ids.slice(0, prompts[0].lookupIndex + 1) }],
    };
  }

  /** What a recorded round writes: a row for each edit, half of its key from the bare prompt, the rest from the other ones. */
  round(index: number): RoundRows {
    const { batches, tau } = this.record.rounds;
    const edits = batches[index].map((e) => ({ e, prompts: this.record.edits[e].prompts.map(keyText) }));
    const rows = edits.map(({ e, prompts }) => {
      const share = 1 / (2 * (prompts.length - 1));
      const texts = prompts.map((text, t) => ({ ...text, weight: t === 0 ? 0.5 : share }));
      return { id: `edit-${e}`, texts, threshold: tau };
    });
    const targets = this.matrix(`rounds.targets.${index}`);
    return { rows, targets, prompts: edits.map(({ prompts }) => prompts[0]) };
  }

  #tensor(name: string): Tensor {
    const found = this.#arrays.get(name);
    if (found === undefined) throw new Error(`golden array ${name}: present, got none`);
    return found;
  }
}

function keyText({ ids, lookupIndex }: GoldenPrompt): KeyText {
  return { tokenIds: ids, lookupIndex };
}
