import type { VersionHooks } from '../version-hooks.js';
import type { MergedLayerReport } from './reports.js';
import { provenance } from './ungated-export.js';

/** From this rounding error on, the card warns: a tenth of the change is lost. */
const notableRoundingError = 0.1;

/** The model card of merged weights. */
export function mergedCard(version: VersionHooks, layers: readonly MergedLayerReport[]): string {
  const { modelId, version: number } = version.manifest;
  const rows = layers.map(
    (layer) =>
      `| ${layer.layer} | \`${layer.tensor}\` | ${layer.dtype} | ${shown(layer.weightChangeNorm)} ` +
      `| ${shown(layer.relativeChange)} | ${shown(layer.roundingError)} |`,
  );
  return `---
tags: [hookline, knowledge-editing]
---
# ${modelId} with the edits of version ${number} in its weights

${provenance(version)}
| layer | tensor | type | norm of dW | relative to W | error of rounding |
|---|---|---|---|---|---|
${rows.join('\n')}

Norms are Frobenius norms. The error of rounding is \`|round(W + dW) - W - dW| / |dW|\`: how much of the change is lost where
the sum is stored in the tensor's type.
${roundingWarning(layers)}
All other tensors are those of the base model.
`;
}

function roundingWarning(layers: readonly MergedLayerReport[]): string {
  const coarse = layers.filter(({ roundingError }) => roundingError >= notableRoundingError);
  if (coarse.length === 0) return '';
  const worst = Math.max(...coarse.map(({ roundingError }) => roundingError));
  return `
> **${coarse[0].dtype} is too coarse for this change** (up to ${(100 * worst).toFixed(0)} % of it is lost): convert the base model to float32
> and edit that, or serve the gated version.
`;
}

const shown = (value: number): string => value.toPrecision(3);
