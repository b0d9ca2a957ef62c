import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {} from '../../src/editing/index.js';
import type { SubjectPrompt, TokenizedEdit } from '../../src/editing/prompts.js';
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
  private readonly arrays: ReadonlyMap<string, Tensor>;

  constructor(name: string) {
    this.directory = join(root, name);
    this.record = JSON.parse(readFileSync(join(this.directory, 'goldens.json'), 'utf8'));
    const path = join(this.directory, 'goldens.safetensors');
    this.arrays = decodeSafetensors(readFileSync(path), path).tensors;
  }

  array(name: string): Float64Array {
    return Float64Array.from(this.tensor(name).data as Float64Array | Float32Array | Uint8Array);
  }

  matrix(name: string): Matrix {
    const [rows, columns] = this.tensor(name).shape;
    return matrix(rows, columns, this.array(name));
  }

  edit(index: number): TokenizedEdit {
    const { prompts, targetIds, klPrompt, keepPrompts } = this.record.edits[index];
    return {
      id: `edit-${index}`,
      prompts: prompts.map(subjectPrompt),
      targetIds,
      subjectPrompt: subjectPrompt(klPrompt),
      keep: keepPrompts.map(subjectPrompt),
    };
  }

  private tensor(name: string): Tensor {
    const found = this.arrays.get(name);
    if (found === undefined) throw new Error(`golden array ${name}: present, got none`);
    return found;
  }
}

function subjectPrompt({ ids, lookupIndex }: GoldenPrompt): SubjectPrompt {
  return { tokenIds: ids, lookupIndex };
}
