import type { Edit } from '../editing/index.js';
import { describing, type Listener } from '../progress.js';
import type { MeasuredModel } from '../serving/index.js';
import { type HookedSubject, type HookMeasures, measureHooks } from './evaluate-version.js';

/** A published version and an export of it, by the same metrics. */
export interface ExportValidation {
  /** The version as hookline serves it. */
  readonly served: HookMeasures;
  readonly exported: HookMeasures;
}

/**
 * Measures an export beside the version that it was made of: on the same edits and the same ordinary text, both against the
 * same frozen base model.
 *
 * @param heldOut token sequences of ordinary text; without any, drift is not measured
 */
export async function validateExport(
  subjects: { readonly served: HookedSubject; readonly exported: HookedSubject<MeasuredModel> },
  edits: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<ExportValidation> {
  return {
    served: await measureHooks(subjects.served, edits, heldOut, describing('version', listener)),
    exported: await measureHooks(subjects.exported, edits, heldOut, describing('export', listener)),
  };
}
