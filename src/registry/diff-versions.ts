import { canonicalJson } from './digest.js';
import type { JsonValue, Manifest, ManifestEdit } from './manifest.js';

/** A named value in two versions; undefined if a version lacks it. */
export interface Change<T> {
  readonly name: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** A number in two versions, with `after - before` if both have it. */
export interface MetricDelta extends Change<number> {
  readonly delta: number | undefined;
}

export interface EditChange {
  readonly before: ManifestEdit;
  readonly after: ManifestEdit;
}

/** What differs between two versions. An edit is known by its id and the version that wrote it. */
export interface VersionDiff {
  readonly before: number;
  readonly after: number;
  readonly edits: {
    readonly added: readonly ManifestEdit[];
    readonly removed: readonly ManifestEdit[];
    /** Overwritten by a later edit. */
    readonly overwritten: readonly ManifestEdit[];
    /** Changed otherwise, such as revoked. */
    readonly changed: readonly EditChange[];
  };
  readonly hyperparameters: readonly Change<JsonValue>[];
  /** Every number in the metrics that differs, named by its path: `retention.2.reliability`. */
  readonly metrics: readonly MetricDelta[];
}

/** Compares two versions of a model. */
export function diffVersions(before: Manifest, after: Manifest): VersionDiff {
  return {
    before: before.version,
    after: after.version,
    edits: diffEdits(before.edits, after.edits),
    hyperparameters: changes(entriesOf(before.hyperparameters), entriesOf(after.hyperparameters)),
    metrics: changes(numbersIn(before.metrics), numbersIn(after.metrics)).map(withDelta),
  };
}

function diffEdits(before: readonly ManifestEdit[], after: readonly ManifestEdit[]): VersionDiff['edits'] {
  const name = (edit: ManifestEdit) => `${edit.version} ${edit.id}`;
  const earlier = new Map(before.map((edit) => [name(edit), edit]));
  const later = new Map(after.map((edit) => [name(edit), edit]));
  const differing = [...earlier.entries()]
    .map(([key, edit]) => ({ before: edit, after: later.get(key) }))
    .filter((pair): pair is EditChange => pair.after !== undefined && !isSame(pair.before, pair.after));
  const isOverwritten = (pair: EditChange) =>
    pair.before.status !== 'overwritten' && pair.after.status === 'overwritten';
  return {
    added: after.filter((edit) => !earlier.has(name(edit))),
    removed: before.filter((edit) => !later.has(name(edit))),
    overwritten: differing.filter(isOverwritten).map((pair) => pair.after),
    changed: differing.filter((pair) => !isOverwritten(pair)),
  };
}

const isSame = (first: unknown, second: unknown): boolean => canonicalJson(first) === canonicalJson(second);

const entriesOf = (values: Readonly<Record<string, JsonValue>>) => new Map(Object.entries(values));

function changes<T extends JsonValue>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): Change<T>[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names
    .map((name) => ({ name, before: before.get(name), after: after.get(name) }))
    .filter(
      (change) =>
        !isSame(change.before ?? null, change.after ?? null) || before.has(change.name) !== after.has(change.name),
    );
}

function numbersIn(value: JsonValue, path = '', found = new Map<string, number>()): Map<string, number> {
  if (typeof value === 'number') found.set(path, value);
  if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value))
      numbersIn(member, path === '' ? name : `${path}.${name}`, found);
  }
  return found;
}

function withDelta(change: Change<number>): MetricDelta {
  const { before, after } = change;
  return { ...change, delta: before === undefined || after === undefined ? undefined : after - before };
}
