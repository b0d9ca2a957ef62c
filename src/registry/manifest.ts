import * as z from 'zod';
import { checkJson, decodeJson } from './json-object.js';
import { relativeVersionFileKey, versionFileNames } from './keys.js';

const version = z.int().min(1).max(999_999);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits');
const layer = z.int().nonnegative();
const perLayer = <T extends z.ZodType>(value: T) =>
  z.record(z.string().regex(/^(0|[1-9]\d*)$/, 'must be a layer'), value);
const baseSchema = z.strictObject({ version, etag: z.string().min(1) });

/** A key relative to `models/<modelId>/` that can only name a file of a version. */
const relativeFileKey = z
  .string()
  .refine(
    (key) => versionFileNames.some((name) => key === fileKeyLike(key, name)),
    'must be versions/<6 digits>/<file>',
  );

function fileKeyLike(key: string, name: (typeof versionFileNames)[number]): string | undefined {
  const number = Number(/^versions\/(\d{6})\//.exec(key)?.[1]);
  return number > 0 ? relativeVersionFileKey(number, name) : undefined;
}

const fileShape = { key: relativeFileKey, sizeBytes: z.int().nonnegative(), sha256 };

const fileSchema = z.strictObject({ ...fileShape, role: z.enum(['hooks', 'report', 'edits']) });
const segmentSchema = z.strictObject({ version, ...fileShape });

const editSchema = z.strictObject({
  id: z.string().min(1),
  subject: z.string().min(1),
  prompt: z.string().min(1),
  targetNew: z.string().min(1),
  targetTrue: z.string().exactOptional(),
  aliases: z.array(z.string().min(1)).exactOptional(),
  memory: z.string().min(1).exactOptional(),
  said: z.boolean().exactOptional(),
  inChat: z.boolean().exactOptional(),
  version,
  status: z.enum(['active', 'overwritten', 'revoked']),
  overwrites: z.string().min(1).exactOptional(),
});

const gateSchema = z.strictObject({
  kind: z.enum(['key', 'nearest', 'sequence', 'none']),
  thresholds: perLayer(z.json()),
});

const manifestSchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    modelId: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/),
    modelDigest: sha256,
    version,
    parent: version.nullable(),
    createdAt: z.iso.datetime(),
    publishedBy: z.string().min(1),
    base: baseSchema.nullable(),
    hyperparameters: z.record(z.string(), z.json()),
    layers: z.array(layer),
    dModel: z.int().positive(),
    dInner: z.int().positive(),
    gate: gateSchema,
    statistics: perLayer(sha256),
    edits: z.array(editSchema),
    segments: z.array(segmentSchema),
    metrics: z.json(),
    files: z.array(fileSchema),
  })
  .superRefine((manifest, context) => {
    for (const message of contradictions(manifest)) context.addIssue({ code: 'custom', message });
  });

/** Any value that JSON holds. */
export type JsonValue = z.infer<ReturnType<typeof z.json>>;
/** The state of `latest` on which a round stands. */
export type Base = Readonly<z.infer<typeof baseSchema>>;
/**
 * One edit of a version, its own or inherited. `version` wrote it; `overwrites` is the id of an earlier edit of the
 * same fact; `memory` is the id of the rows that say it. `said` and `inChat` tell whether greedy decoding said its new target,
 * by its own prompt and in chat, when its rows were measured last.
 */
export type ManifestEdit = Readonly<z.infer<typeof editSchema>>;

/**
 * The memory that says an edit: the id of its rows in the segments. All facts of a subject have one. Before 0.2 every edit had
 * a row of its own, under its own id.
 */
export const memoryOf = ({ memory, id }: Pick<ManifestEdit, 'memory' | 'id'>): string => memory ?? id;
/** A file of this version; its key is relative to `models/<modelId>/`. */
export type ManifestFile = Readonly<z.infer<typeof fileSchema>>;
/** A hook file of this or an earlier version; a version's hooks are all segments replayed in order. */
export type Segment = Readonly<z.infer<typeof segmentSchema>>;
/** Everything about one version: its origin, its edits, its measures, and its files by digest. */
export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

/** Contradictions between the fields of a manifest. */
function* contradictions(manifest: z.infer<typeof manifestSchema>): Generator<string> {
  const own = `versions/${String(manifest.version).padStart(6, '0')}/`;
  const hooks = manifest.files.find((file) => file.role === 'hooks');
  if (manifest.parent !== (manifest.base?.version ?? null)) yield 'parent must be the base version';
  if (manifest.parent !== null && manifest.parent >= manifest.version) yield 'parent must be an earlier version';
  if (manifest.files.some((file) => !file.key.startsWith(own))) yield `files must lie in ${own}`;
  if (!isUnique(manifest.files.map((file) => file.key))) yield 'files must be named once';
  if (!isUnique(manifest.edits.map((edit) => `${edit.version} ${edit.id}`)))
    yield 'edits of one version must have their own ids';
  if (manifest.edits.some((edit) => edit.version > manifest.version)) yield 'edits must not come from later versions';
  if (!isUnique(manifest.layers)) yield 'layers must be named once';
  for (const [index, segment] of manifest.segments.entries()) {
    if (segment.key !== relativeVersionFileKey(segment.version, 'hooks.safetensors'))
      yield 'a segment must be a hook file of its version';
    if (segment.version <= (manifest.segments[index - 1]?.version ?? 0))
      yield 'segments must be in the order of their versions';
  }
  if ((manifest.segments.at(-1)?.version ?? 0) > manifest.version) yield 'segments must not come from later versions';
  const ownSegment = manifest.segments.find((segment) => segment.version === manifest.version);
  if (ownSegment?.sha256 !== hooks?.sha256 || ownSegment?.sizeBytes !== hooks?.sizeBytes)
    yield 'the last segment must be the own hook file';
}

const isUnique = (items: readonly unknown[]): boolean => new Set(items).size === items.length;

/**
 * Checks a value against the manifest's schema.
 * @param path what the error names
 * @throws {MalformedFileError} naming the field
 */
export function checkManifest(value: unknown, path: string): Manifest {
  return checkJson(manifestSchema, value, path);
}

/** What `latest.json` holds. */
export const pointerSchema = z.strictObject({
  version,
  manifestSha256: sha256,
  publishedBy: z.string().min(1),
  publishedAt: z.iso.datetime(),
  previous: z.strictObject({ version }).nullable(),
  action: z.enum(['publish', 'rollback']),
  sequence: z.int().positive(),
});

/**
 * The body of `latest.json`. `sequence` counts the pointer's states from 1. So no two bodies are equal, and an ETag
 * names one state for ever. For a rollback, `publishedBy` is who requested it.
 */
export type Pointer = Readonly<z.infer<typeof pointerSchema>>;

/** @throws {MalformedFileError} unless the bytes are a manifest of schema version 1 */
export const decodeManifest = (bytes: Uint8Array, path: string): Manifest => decodeJson(manifestSchema, bytes, path);

/** @throws {MalformedFileError} unless the bytes are a pointer */
export const decodePointer = (bytes: Uint8Array, path: string): Pointer => decodeJson(pointerSchema, bytes, path);
