/** @file Subjects: the unit of memory. One value says all active facts of a subject. */
import type { Edit } from '../editing/index.js';
import { comparable, type EditMeasurement, factOf } from '../evaluation/index.js';
import { contentKey, type Manifest, type ManifestEdit, memoryOf, type ObjectStore } from '../registry/index.js';
import type { EarlierFact, Memory, RoundPlan, SolveRecord } from './records.js';
import { activeOf, plannedEdit } from './round-edits.js';
import { ancestorsOf } from './round-report.js';
import { writtenEdits } from './written-edits.js';

/** A subject with all facts that its one value is to say. */
export interface Subject {
  /** Of its memory: a digest of names and facts. */
  readonly id: string;
  /** Everything that its facts call it. */
  readonly names: readonly string[];
  /** The round's edits about it, in the plan's order. */
  readonly edits: readonly Edit[];
  /** Its facts of earlier versions that stay. */
  readonly earlier: readonly EarlierFact[];
  /** Memories whose rows its own replace. */
  readonly replaces: readonly string[];
}

/** All facts of a subject, the earlier ones first. */
export const factsOf = ({ earlier, edits }: Pick<Subject, 'earlier' | 'edits'>): readonly Edit[] => [
  ...earlier.map(({ edit }) => edit),
  ...edits,
];

const namesOf = ({ subject, aliases = [] }: { readonly subject: string; readonly aliases?: readonly string[] }) => [
  subject,
  ...aliases,
];

/**
 * The subjects that a round writes. Facts are of one subject if they share a name, see `comparable`. A subject's earlier facts
 * are written again with the new ones, but for those that are overwritten. So are facts that share a memory with them, as some
 * of release 0.1 do though they are of different subjects.
 *
 * @param edits the plan's edits that are to be written
 */
export function subjectsOf({ earlier = [] }: Pick<RoundPlan, 'earlier'>, edits: readonly Edit[]): Subject[] {
  const newFacts = new Set(edits.map(factOf));
  const staying = earlier.filter(({ edit }) => !newFacts.has(factOf(edit)));
  const groupOf = groupedByName([...edits, ...earlier.map(({ edit }) => edit)]);
  const replacesOf = (group: string) => [
    ...new Set(earlier.filter(({ edit }) => groupOf(edit) === group).map(({ memory }) => memory)),
  ];
  const groups = new Set(edits.map(groupOf));
  for (const group of groups) {
    const replaced = replacesOf(group);
    for (const { memory, edit } of staying) if (replaced.includes(memory)) groups.add(groupOf(edit));
  }
  return [...groups].map((group) => {
    const own = edits.filter((edit) => groupOf(edit) === group);
    const stays = staying.filter(({ edit }) => groupOf(edit) === group);
    return subjectWith(own, stays, replacesOf(group));
  });
}

/** The subjects of facts that are to be written again, beside nothing new. */
export function subjectsLeft(earlier: readonly EarlierFact[]): Subject[] {
  const groupOf = groupedByName(earlier.map(({ edit }) => edit));
  const groups = new Set(earlier.map(({ edit }) => groupOf(edit)));
  return [...groups].map((group) => {
    const own = earlier.filter(({ edit }) => groupOf(edit) === group);
    return subjectWith([], own, [...new Set(own.map(({ memory }) => memory))]);
  });
}

function subjectWith(edits: readonly Edit[], earlier: readonly EarlierFact[], replaces: readonly string[]): Subject {
  const facts = factsOf({ edits, earlier });
  const names = [...new Set(facts.flatMap(namesOf))];
  const id = `m-${contentKey({ kind: 'memory', names, facts: facts.map(contentOf) }).slice(0, 16)}`;
  return { id, names, edits, earlier, replaces };
}

/** The memories of subjects, as solves record and versions hold them. */
export const memoriesIn = (subjects: readonly Subject[]): Memory[] =>
  subjects.map(({ id, edits, earlier }) => ({
    id,
    editIds: edits.map((edit) => edit.id),
    earlier: earlier.map(({ version, edit }) => ({ version, id: edit.id })),
  }));

/**
 * Why subjects are not written: those that cannot be, and with them all whose rows say facts of another one that is not written.
 * The rows of a subject that is not written stay, and with them whatever else they say.
 *
 * @param unwritable reasons by subject
 */
export function notWritten(
  subjects: readonly Subject[],
  unwritable: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const reasons = new Map(unwritable);
  for (;;) {
    const staying = new Set(subjects.filter(({ id }) => reasons.has(id)).flatMap(({ replaces }) => replaces));
    const sharing = subjects.filter(({ id, replaces }) => !reasons.has(id) && replaces.some((row) => staying.has(row)));
    if (sharing.length === 0) return reasons;
    for (const { id } of sharing) reasons.set(id, 'its rows also say facts that could not be written');
  }
}

/** What of a fact its subject's value depends on, beside the names. */
export const contentOf = ({ id, subject, prompt, targetNew, paraphrases, keep }: Edit) => ({
  id,
  subject,
  prompt,
  targetNew,
  paraphrases,
  keep,
});

/** Names the group of an edit: edits that share a name, directly or through others, are in one. */
function groupedByName(edits: readonly Edit[]): (edit: Edit) => string {
  const parents = new Map<string, string>();
  const rootOf = (name: string): string => {
    const parent = parents.get(name) ?? name;
    return parent === name ? name : rootOf(parent);
  };
  for (const edit of edits) {
    const [first, ...others] = namesOf(edit).map(comparable);
    for (const other of others) parents.set(rootOf(other), rootOf(first));
  }
  return ({ subject }) => rootOf(comparable(subject));
}

/**
 * The active facts of a version about the subjects of these edits, and those that share a memory with them.
 *
 * @throws {DigestMismatchError | MalformedFileError} if a file of the versions that wrote them is damaged
 */
export async function earlierFacts(
  store: ObjectStore,
  base: Manifest | undefined,
  edits: readonly Edit[],
): Promise<EarlierFact[]> {
  const active = activeOf(base);
  if (base === undefined || active.length === 0) return [];
  const all = [...edits, ...active.map(named)];
  const groupOf = groupedByName(all);
  const groups = new Set(edits.map(groupOf));
  const memories = new Set(active.filter((edit) => groups.has(groupOf(named(edit)))).map(memoryOf));
  return writtenFacts(
    store,
    base,
    active.filter((edit) => memories.has(memoryOf(edit))),
  );
}

/**
 * Facts of a version with all that they were written with.
 *
 * @throws {DigestMismatchError | MalformedFileError} if a file of the versions that wrote them is damaged
 */
export async function writtenFacts(
  store: ObjectStore,
  base: Manifest,
  facts: readonly ManifestEdit[],
): Promise<EarlierFact[]> {
  if (facts.length === 0) return [];
  const written = await writtenEdits(store, await ancestorsOf(store, base.modelId, base), facts);
  return facts.map((fact, f) => ({
    version: fact.version,
    memory: memoryOf(fact),
    edit: plannedEdit(written[f]),
    ...(fact.said !== undefined && { said: fact.said }),
  }));
}

/** What of a manifest's edit groups it. */
const named = ({ aliases = [], ...edit }: ManifestEdit) =>
  ({ ...edit, aliases, paraphrases: [], testParaphrases: [], neighborhood: [], keep: [], portability: [] }) as Edit;

/** The earlier facts of a plan that a solve's memories say too. */
export function companionsOf(
  { earlier = [] }: Pick<RoundPlan, 'earlier'>,
  { memories }: Pick<SolveRecord, 'memories'>,
): EarlierFact[] {
  const said = new Set(memories.flatMap((memory) => memory.earlier.map(({ version, id }) => `${version} ${id}`)));
  return earlier.filter(({ version, edit }) => said.has(`${version} ${edit.id}`));
}

/** The edit that a gate names: the measured one where its memory opened, else the first that the memory says. */
export function firedBy(
  { id, firing }: Pick<EditMeasurement, 'id' | 'firing'>,
  rowIds: readonly string[],
  memories: ReadonlyMap<string, readonly string[]>,
): string | null {
  const says = (firing && memories.get(rowIds[firing.editIndex])) ?? [];
  return says.includes(id) ? id : (says[0] ?? null);
}

/** Which edits each memory of a base and a solve on top of it says. */
export function memoriesOf(
  base: Manifest | undefined,
  { memories }: { readonly memories: readonly Memory[] },
): Map<string, readonly string[]> {
  const says = new Map<string, string[]>();
  for (const edit of activeOf(base)) says.set(memoryOf(edit), [...(says.get(memoryOf(edit)) ?? []), edit.id]);
  for (const { id, editIds, earlier } of memories) says.set(id, [...editIds, ...earlier.map((fact) => fact.id)]);
  return says;
}
