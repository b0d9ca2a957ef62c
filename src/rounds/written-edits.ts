import type { Edit } from '../editing/index.js';
import { type Manifest, type ManifestEdit, type ObjectStore, parseStored, pullFile } from '../registry/index.js';
import { editSchema } from './records.js';
import { bareEdit } from './round-edits.js';
import { type Ancestor, ancestorsOf } from './round-report.js';

/**
 * Reads edits with their paraphrases, neighbours and keep prompts from the `edits.jsonl` of the versions that wrote them. An
 * edit that is in none of these files has its own prompt only.
 *
 * @param ancestors all versions that wrote one of the edits
 * @throws {DigestMismatchError | NoSuchKeyError | MalformedFileError} if such a file is damaged
 */
export async function writtenEdits(
  store: ObjectStore,
  ancestors: readonly Ancestor[],
  edits: readonly ManifestEdit[],
): Promise<Edit[]> {
  const written = new Map<string, Edit>();
  for (const version of new Set(edits.map((edit) => edit.version))) {
    const manifest = ancestors.find((ancestor) => ancestor.version === version);
    for (const edit of manifest ? await editsOf(store, manifest) : []) written.set(nameOf(version, edit), edit);
  }
  return edits.map((edit) => written.get(nameOf(edit.version, edit)) ?? bareEdit(edit));
}

/** The active edits of a version, with the prompts they were written with. */
export async function activeEdits(store: ObjectStore, manifest: Manifest): Promise<Edit[]> {
  const ancestors = await ancestorsOf(store, manifest.modelId, manifest);
  return writtenEdits(
    store,
    ancestors,
    manifest.edits.filter(({ status }) => status === 'active'),
  );
}

const nameOf = (version: number, { id }: { readonly id: string }): string => `${version} ${id}`;

async function editsOf(store: ObjectStore, { modelId, files }: Ancestor): Promise<Edit[]> {
  const file = files.find(({ role }) => role === 'edits');
  if (file === undefined) return [];
  const text = new TextDecoder().decode(await pullFile(store, modelId, file));
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => parseStored(line, editSchema, `${modelId}/${file.key}`, 'edits, one a line'));
}
