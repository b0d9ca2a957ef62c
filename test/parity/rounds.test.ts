import { describe, expect, it } from 'vitest';
import {
  emptyState,
  hookFeeds,
  hookLayers,
  hooksOf,
  KeyCollection,
  resolveHyperparameters,
  writeRound,
} from '../../src/editing/index.js';
import { cast, Graph } from '../../src/graph/index.js';
import { inverseFactor, PlainGemmEngine, weightChange } from '../../src/linalg/index.js';
import {
  declarePacking,
  embedTokens,
  loadModel,
  packSequences,
  runBlocks,
  vocabularyLogits,
} from '../../src/model/index.js';
import { compile } from '../../src/runtime/index.js';
import { tensor } from '../../src/tensor/index.js';
import { tolerances } from '../support/matchers.js';
import { GoldenModel, goldenNames } from './golden-model.js';

const gates = ['key', 'sequence', 'none'] as const;
const cases = goldenNames.flatMap((name) => gates.map((gate) => ({ name, gate })));

describe.each(cases)('two consecutive rounds on $name with the gate $gate', ({ name, gate }) => {
  it('agree with a dense solve in PyTorch on keys, weight changes, thresholds, gate decisions and edited logits', async () => {
    const golden = new GoldenModel(name);
    const model = await loadModel(golden.directory);
    const { rounds, sequences } = golden.record;
    const engine = new PlainGemmEngine();
    const { dInner } = model.config;
    const settings = resolveHyperparameters(
      {
        layers: rounds.layers,
        momentWeight: rounds.momentWeight / dInner,
        gate,
        similarityThreshold: rounds.tau,
        sequenceThreshold: rounds.alpha,
      },
      model.config,
    );
    // The sketch is the factor itself, so that the whitened norm is exact like the oracle's.
    const statistics = await Promise.all(
      rounds.layers.map(async (layer) => {
        const factor = await inverseFactor(golden.matrix(`moment.layer.${layer}.moment`), engine);
        return { layer, inverseFactor: factor, sketch: factor };
      }),
    );
    const collection = await KeyCollection.compile(model, settings);
    let state = emptyState(model.config, settings);
    for (const r of rounds.batches.keys()) {
      const context = { settings, collection, statistics, engine, rowsPerBatch: 1000 };
      const result = await writeRound(context, state, golden.round(r));
      state = result.state;
      for (const { layer, memory } of state.layers) {
        const change = await weightChange(memory, engine);
        const expected = golden.array(`rounds.${gate}.${r}.layer.${layer}.deltaWeight`);
        expect(change.data).toBeAllclose(expected, tolerances.weightChange);
      }
      if (gate === 'sequence') {
        const alphas = state.layers.map((layer) => layer.sequenceThreshold);
        expect(alphas).toBeAllclose(golden.array(`rounds.sequence.${r}.alphas`), tolerances.activations);
      }
    }

    const graph = new Graph();
    const packing = declarePacking(graph, model.config);
    const hidden = runBlocks(model, packing, embedTokens(model, packing, graph.input('tokenIds', 'int64', ['rows'])), {
      from: 0,
      to: model.config.layers,
      visit: hookLayers(graph, packing, settings.layers, gate, (layer, signals) => {
        graph.output(`open.${layer}`, cast(signals.open, 'float32'));
        if (signals.edit) graph.output(`edit.${layer}`, cast(signals.edit, 'float32'));
      }),
    });
    graph.output('logits', vocabularyLogits(model, hidden));
    const program = await compile(graph);
    const evaluated = [
      ...sequences.map((ids, s) => ({ ids, key: `sequence.${s}` })),
      ...golden.record.edits.map((edit, e) => ({ ids: edit.prompts[0].ids, key: `prompt.${e}` })),
    ];
    const ids = evaluated.flatMap((sequence) => sequence.ids);
    const outputs = await program.run({
      ...packSequences(
        model.config,
        evaluated.map((sequence) => ({ past: 0, length: sequence.ids.length })),
      ),
      ...hookFeeds(hooksOf(state, statistics), gate, model.config.dModel),
      tokenIds: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)),
    });
    let row = 0;
    for (const { ids, key } of evaluated) {
      const rowsOf = (output: string) => {
        const { data, shape } = outputs[output];
        return (data as Float32Array).subarray(row * shape[1], (row + ids.length) * shape[1]);
      };
      const expected = (what: string) => golden.array(`edited.${gate}.${key}.${what}`);
      for (const { layer } of state.layers) {
        expect(Array.from(rowsOf(`open.${layer}`))).toEqual(Array.from(expected(`layer.${layer}.open`)));
      }
      expect(rowsOf('logits')).toBeAllclose(expected('logits'), tolerances.weightChange);
      row += ids.length;
    }
    await program.dispose();
    await collection.dispose();
  });
});
