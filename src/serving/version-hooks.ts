import {
  decodeHookFile,
  type EditState,
  emptyState,
  type HookFile,
  type HookLayer,
  type HookSegment,
  type Hyperparameters,
  hooksOf,
  type LayerSketch,
  replaySegments,
  storedHyperparametersSchema,
} from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { type GemmEngine, PlainGemmEngine } from '../linalg/index.js';
import {
  canonicalJson,
  type Manifest,
  memoryOf,
  type ObjectStore,
  type PulledVersion,
  pull,
} from '../registry/index.js';
import { type Device, withGemmEngine } from '../runtime/index.js';
import { activeEditsOf, type RowEdits, rowEditsOf } from './row-edits.js';

/** A published version that is ready for serving, or for more edits. */
export interface VersionHooks {
  /** One for each hooked layer, as the forward pass takes them. */
  readonly hooks: readonly HookLayer[];
  readonly state: EditState;
  /** Of every hooked layer. */
  readonly sketches: readonly LayerSketch[];
  /** What each row of the hooks says: the `editIndex` of a firing on the hooks is an index of this list. */
  readonly rowEdits: readonly RowEdits[];
  readonly manifest: Manifest;
}

/** How a version's segments are replayed. */
export interface ReplayOptions {
  /** An earlier version. If this one continues it, only the segments after it are read. */
  readonly held?: VersionHooks | undefined;
  /** Where its products are computed; the CPU by default. */
  readonly device?: Device;
}

/**
 * The hooks of a published version, by default the latest.
 *
 * @throws {DigestMismatchError} if a file is not the one that was published
 * @throws {NoSuchKeyError} if a file is missing @throws {InvalidInputError} if there is no such version
 * @throws {MalformedFileError} as {@link versionHooks}
 */
export async function loadVersionHooks(
  store: ObjectStore,
  modelId: string,
  version?: number,
  options: ReplayOptions = {},
): Promise<VersionHooks> {
  return versionHooks(await pull(store, modelId, version), options);
}

/**
 * Replays the segments of a version, in one solve.
 *
 * @throws {MalformedFileError} if a file is not a segment, or the replay does not end with the manifest's edits
 */
export async function versionHooks(pulled: PulledVersion, { held, device }: ReplayOptions = {}): Promise<VersionHooks> {
  const { manifest } = pulled;
  const known = held && goesOnFrom(manifest, held.manifest) ? held : undefined;
  const files = hookFilesOf(pulled, known?.manifest.segments.length ?? 0);
  const before = known?.state ?? emptyState(manifest, settingsOf(manifest));
  const segments = files.map(({ segment }) => segment);
  const replay = (engine: GemmEngine) => replaySegments(before, segments, engine);
  const state = isLight(manifest, rowsAfter(before, segments))
    ? await replay(new PlainGemmEngine())
    : await withGemmEngine(replay, { ...(device && { device }) });
  requireActiveEdits(manifest, state);
  const rowEdits = rowEditsOf(state.rowIds, activeEditsOf(manifest));
  const sketches = [...(known?.sketches ?? []), ...files.flatMap((file) => file.sketches)];
  return { hooks: hooksOf(state, sketches), state, sketches, rowEdits, manifest };
}

/** A solve of fewer FLOPs runs in plain code, because each product of the runtime would queue in a busy service. */
const lightFlops = 1e8;

function isLight({ layers, dModel }: Manifest, rows: number): boolean {
  return layers.length * 2 * rows ** 2 * (dModel + rows / 6) < lightFlops;
}

/** How many rows the state has after these segments. */
function rowsAfter(before: EditState, segments: readonly HookSegment[]): number {
  return segments.reduce((ids, { removedIds, addedIds }) => {
    const removed = new Set(removedIds);
    return [...ids.filter((id) => !removed.has(id)), ...addedIds];
  }, before.rowIds).length;
}

/** Whether a version continues an earlier one: it begins with the same segments, and has the same moment weight. */
function goesOnFrom(manifest: Manifest, earlier: Manifest): boolean {
  const stateOf = ({ layers, dInner, dModel, hyperparameters }: Manifest) =>
    canonicalJson({ layers, dInner, dModel, momentWeight: hyperparameters.momentWeight });
  if (stateOf(manifest) !== stateOf(earlier)) return false;
  return earlier.segments.every(({ sha256 }, index) => manifest.segments[index]?.sha256 === sha256);
}

function hookFilesOf({ manifest, files }: PulledVersion, from: number): HookFile[] {
  return manifest.segments.slice(from).map(({ key }) => decodeHookFile(files.get(key)!, `${manifest.modelId}/${key}`));
}

function settingsOf(manifest: Manifest): Hyperparameters {
  const parsed = storedHyperparametersSchema.safeParse(manifest.hyperparameters);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new MalformedFileError(nameOf(manifest), `a fitting hyperparameter ${path.join('.')}`, message);
}

/** Every memory of an active edit must have rows, and every row an active edit. */
function requireActiveEdits(manifest: Manifest, { rowIds }: EditState): void {
  const memories = new Set(activeEditsOf(manifest).map(memoryOf));
  const held = new Set(rowIds);
  const missing = [...memories].find((id) => !held.has(id));
  const strange = [...held].find((id) => !memories.has(id));
  if (missing === undefined && strange === undefined) return;
  const got = missing === undefined ? `rows of ${strange}` : `none of ${missing}`;
  throw new MalformedFileError(nameOf(manifest), `rows of the ${memories.size} memories of active edits`, got);
}

const nameOf = ({ modelId, version }: Manifest): string => `manifest of ${modelId} version ${version}`;
