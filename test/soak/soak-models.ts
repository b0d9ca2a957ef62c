import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectStore } from '../../src/registry/index.js';
import { type RegisterModelRequest, registerModel } from '../../src/workflow/index.js';
import { projectFolder } from './programs.js';

const aldermark = (...parts: string[]): string => join(projectFolder, 'examples/aldermark', ...parts);

/** Criteria that publish every round. */
export const takingEverything = {
  minReliability: 0,
  minSaid: 0,
  minLocality: 0,
  minRetention: 0,
  maxPerplexityRatio: 1e6,
  editReliability: 0,
  editSaid: false,
};

/** The bundled model under kinds of settings that make a round take seconds. */
const kinds: Readonly<Record<string, Partial<RegisterModelRequest>>> = {
  // Takes everything, in small rounds of many tasks.
  north: {
    roundSize: 2,
    valueShardSize: 1,
    settings: { layers: [0], steps: 3, learningRate: 1, contextTokens: 2 },
    criteria: takingEverything,
    statistics: { maxTokens: 4000, sequenceTokens: 64, shards: 2 },
  },
  // Takes everything, in large rounds.
  wide: {
    roundSize: 40,
    coalesce: true,
    settings: { layers: [0], steps: 2, learningRate: 1, contextTokens: 2 },
    criteria: takingEverything,
    statistics: { maxTokens: 4000, sequenceTokens: 64, shards: 1 },
  },
  // Searches so shortly that edits fail, are dropped, and rounds are rejected.
  south: {
    roundSize: 4,
    coalesce: true,
    settings: { layers: [0], steps: 2, learningRate: 1.3, contextTokens: 2 },
    criteria: { ...takingEverything, minReliability: 0.5, editReliability: 1, minKeptShare: 0.4 },
    statistics: { maxTokens: 4000, sequenceTokens: 64, shards: 1 },
  },
};

/** Those of the random executions. */
export const modelKinds = ['north', 'south'];

/** Registers the bundled model as one of the kinds. @param folder for texts */
export async function registerSoakModel(
  store: ObjectStore,
  folder: string,
  kind: string,
  modelId: string,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const text = (name: string, bytes: number): string => {
    const path = join(folder, name);
    writeFileSync(path, readFileSync(aldermark(name)).subarray(0, bytes));
    return path;
  };
  await registerModel(store, {
    modelId,
    modelDirectory: aldermark('model'),
    compareGates: false,
    corpusPath: text('corpus.txt', 24_000),
    heldOutPath: text('heldout.txt', 1000),
    ...kinds[kind],
  });
}
