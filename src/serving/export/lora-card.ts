import type { VersionHooks } from '../version-hooks.js';
import type { LoraExport } from './reports.js';
import { provenance } from './ungated-export.js';

/** Allowed values of vLLM's `--max-lora-rank`. */
const vllmRanks = [1, 8, 16, 32, 64, 128, 256, 320, 512];

/** An adapter's model card. */
export function adapterCard(version: VersionHooks, written: LoraExport, baseModel: string): string {
  const { rank, dtype, layers } = written;
  const { modelId, version: number } = version.manifest;
  const rows = layers.map(
    (layer) =>
      `| ${layer.layer} | ${layer.rank} | ${layer.exactRank} | ${shown(layer.weightChangeNorm)} ` +
      `| ${shown(layer.truncationError)} | ${shown(layer.roundingError)} | ${layer.singularValues.map(shown).join(', ')} |`,
  );
  return `---
library_name: peft
tags: [lora, hookline, knowledge-editing]
---
# Edits of ${modelId}, version ${number}, as a LoRA adapter

${provenance(version)}
The adapter changes the down-projections of the hooked layers, \`W + B A\`, r = ${rank}, lora_alpha = ${rank}, ${dtype}.

| layer | rank | exact rank | norm of dW | error of the rank | error of ${dtype} | largest singular values |
|---|---|---|---|---|---|---|
${rows.join('\n')}

Norms are Frobenius norms, errors are relative to the norm of dW.

## PEFT

\`\`\`python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(${JSON.stringify(baseModel)}), "<this folder>")
\`\`\`

## vLLM

${vllmNote(rank, baseModel)}
`;
}

/** How to start vLLM with the adapter. Its rank limit must be one of {@link vllmRanks}. */
export function vllmNote(rank: number, baseModel: string): string {
  const limit = vllmRanks.find((candidate) => candidate >= rank);
  const largest = vllmRanks[vllmRanks.length - 1];
  if (limit === undefined) {
    return `vLLM takes adapters of rank ${largest} at most and refuses this one (r = ${rank}): export it with a rank of ${largest} or less.`;
  }
  const command = `vllm serve ${baseModel} --enable-lora --max-lora-rank ${limit} --lora-modules edits=<this folder>`;
  const older = limit > 256 ? `\n\nReleases that know no ${limit} need an export with a rank of 256 or less.` : '';
  return `\`\`\`sh\n${command}\n\`\`\`\n\nvLLM converts the factors to the type it serves the model in (\`--lora-dtype\`), and loads adapters only for architectures
on whose down-projection it supports LoRA.${older}`;
}

const shown = (value: number): string => value.toPrecision(3);
