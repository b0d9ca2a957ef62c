/** @file How a registered model reads text, from the small files beside its weights: for stages that open no model. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelLimits } from '../editing/index.js';
import { loadTokenizer, type Tokenizer } from '../model/index.js';
import { contentKey, digestOfFile, type ObjectStore } from '../registry/index.js';
import { unlessAbsent } from './file-record.js';
import { fetchFile, type StoreFile } from './model-files.js';
import type { Registration } from './registration.js';

/** What tells how a model reads a text. */
export interface ModelTokens {
  readonly tokenizer: Tokenizer;
  readonly limits: ModelLimits;
}

const fileNames = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
];

/** By the content of the files, the most recent last. A tokenizer may take a hundred megabytes of memory. */
const known = new Map<string, Tokenizer>();
const mostKnown = 2;

/**
 * Reads a registered model's tokenizer. Files of the same content are read once in a process.
 *
 * @throws {InvalidInputError | MalformedFileError} if a file is missing or not of its format
 * @throws {DigestMismatchError | NoSuchKeyError} if the store's copy is damaged
 */
export async function readModelTokens(
  store: ObjectStore,
  { source, maxTokens, vocab = Number.POSITIVE_INFINITY }: Pick<Registration, 'source' | 'maxTokens' | 'vocab'>,
): Promise<ModelTokens> {
  const tokenizer = source.kind === 'directory' ? await ofFolder(source.path) : await ofStore(store, source.files);
  return { tokenizer, limits: { maxTokens, vocab } };
}

async function ofFolder(folder: string): Promise<Tokenizer> {
  const digests = fileNames.map((name) => unlessAbsent(digestOfFile(join(folder, name))));
  const content = (await Promise.all(digests)).map((digest) => digest?.sha256 ?? null);
  return remembered(contentKey(content), () => loadTokenizer(folder));
}

function ofStore(store: ObjectStore, all: readonly StoreFile[]): Promise<Tokenizer> {
  const files = all.filter(({ name }) => fileNames.includes(name));
  return remembered(contentKey(files.map(({ name, sha256 }) => [name, sha256])), async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hookline-tokens-'));
    try {
      for (const file of files) await writeFile(join(folder, file.name), await fetchFile(store, file));
      return await loadTokenizer(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function remembered(key: string, load: () => Promise<Tokenizer>): Promise<Tokenizer> {
  const tokenizer = known.get(key) ?? (await load());
  known.delete(key);
  known.set(key, tokenizer);
  for (const oldest of [...known.keys()].slice(0, -mostKnown)) known.delete(oldest);
  return tokenizer;
}
