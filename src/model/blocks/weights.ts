import { access, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { InvalidInputError, MalformedFileError } from '../../errors.js';
import type { Graph, Value } from '../../graph/index.js';
import { parseJson } from '../../json.js';
import { elementCount, openSafetensors, type TensorLocation } from '../../tensor/index.js';

/** The tensors of a checkpoint by their full names, in one file or several. A tensor is read when it is used. */
export class Weights {
  constructor(
    readonly directory: string,
    /** Sorted by their names. */
    readonly opened: readonly WeightFile[],
    /** Every tensor by its full name. */
    readonly tensors: ReadonlyMap<string, TensorLocation>,
    /** What the checkpoint puts before the architecture's names. */
    readonly prefix: string,
  ) {}

  /** What it is, for messages. */
  get what(): string {
    return weightsIn(this.directory);
  }

  /** How many numbers they are. */
  get numbers(): number {
    return [...this.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  }

  /** Real paths of the files, in the order of their names. */
  get files(): readonly string[] {
    return this.opened.map(({ realPath }) => realPath);
  }

  /** @param name without the checkpoint's prefix */
  location(name: string): TensorLocation {
    return this.#locate(this.prefix + name);
  }

  /** The tensor as an external initialiser of the graph. */
  value(graph: Graph, fullName: string): Value {
    return graph.weight(this.#locate(fullName));
  }

  /** A tensor's name for messages, with its file where there are several. */
  shown(fullName: string): string {
    const file = this.opened.length > 1 ? this.opened.find(({ tensors }) => tensors.has(fullName)) : undefined;
    return file === undefined ? fullName : `${fullName} in ${file.path}`;
  }

  #locate(fullName: string): TensorLocation {
    const location = this.tensors.get(fullName);
    if (location === undefined) {
      throw new InvalidInputError(this.what, `a tensor named ${fullName}`, 'none');
    }
    return location;
  }
}

/** One file of a checkpoint. */
export interface WeightFile {
  /** As the directory has it, which may be a link. */
  readonly path: string;
  /** Its path without links: what is mapped into memory. */
  readonly realPath: string;
  readonly tensors: ReadonlyMap<string, TensorLocation>;
}

const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Finds the tensors of a Hugging Face directory, `model.safetensors` or the shards of `model.safetensors.index.json`.
 *
 * @param names.prefixes  tried in order; the first with which `embedding` exists is the checkpoint's
 * @throws {InvalidInputError} if there are no weights, or one is in two files
 * @throws {MalformedFileError} if a file is damaged
 */
export async function openWeights(
  directory: string,
  { prefixes, embedding }: { readonly prefixes: readonly string[]; readonly embedding: string },
): Promise<Weights> {
  const files: WeightFile[] = [];
  const locations = new Map<string, TensorLocation>();
  for (const path of await weightFiles(directory)) {
    const { path: realPath, tensors } = await openSafetensors(path);
    files.push({ path, realPath, tensors });
    for (const [name, location] of tensors) {
      if (locations.has(name))
        throw new InvalidInputError(weightsIn(directory), `tensor ${name} in one file`, 'it in several');
      locations.set(name, location);
    }
  }
  const prefix = prefixes.find((candidate) => locations.has(candidate + embedding)) ?? prefixes[0];
  const checkpointBytes = [...locations.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const tensors = new Map([...locations].map(([name, location]) => [name, { ...location, checkpointBytes }]));
  return new Weights(directory, files, tensors, prefix);
}

/** How messages call the weights of a model. */
const weightsIn = (directory: string): string => `weights in ${directory}`;

async function weightFiles(directory: string): Promise<string[]> {
  const single = join(directory, 'model.safetensors');
  if (await isThere(single)) return [single];
  const indexPath = join(directory, 'model.safetensors.index.json');
  if (!(await isThere(indexPath))) {
    throw new InvalidInputError(`model ${directory}`, 'model.safetensors or model.safetensors.index.json', 'neither');
  }
  const names = new Set(Object.values(await readShardMap(indexPath)));
  const files: string[] = [];
  for (const name of [...names].sort()) {
    const file = join(directory, name);
    if (basename(name) !== name || !(await isThere(file))) {
      throw new InvalidInputError(`model ${directory}`, `the shard ${name} of its index`, 'no such file');
    }
    files.push(file);
  }
  return files;
}

async function readShardMap(path: string): Promise<Record<string, string>> {
  const parsed = shardIndex.safeParse(await readJson(path));
  if (!parsed.success) throw new MalformedFileError(path, 'an object weight_map from tensor to file', 'something else');
  return parsed.data.weight_map;
}

/** @throws {InvalidInputError} if the file is missing, {MalformedFileError} if it is not JSON */
export async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new InvalidInputError(path, 'a readable file', (cause as NodeJS.ErrnoException).code ?? 'an error', {
      cause,
    });
  }
  return jsonOf(text, path);
}

/** @throws {MalformedFileError} if the text is not JSON */
export function jsonOf(text: string, path: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(path, 'JSON', (cause as Error).message, { cause });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
