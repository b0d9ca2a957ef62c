import { readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { InvalidInputError, MalformedFileError } from '../../errors.js';
import type { Graph, Value } from '../../graph/index.js';
import { parseJson } from '../../json.js';
import { openSafetensors, type TensorLocation } from '../../tensor/index.js';

/** The tensors of a checkpoint by their full names, in one file or several. A tensor is read when it is used. */
export class Weights {
  readonly #locations: ReadonlyMap<string, TensorLocation>;
  readonly #prefix: string;

  constructor(
    readonly directory: string,
    /** Real paths of the files, sorted. */
    readonly files: readonly string[],
    locations: ReadonlyMap<string, TensorLocation>,
    prefix: string,
  ) {
    this.#locations = locations;
    this.#prefix = prefix;
  }

  /** @param name without the checkpoint's prefix */
  location(name: string): TensorLocation {
    return this.#locate(this.#prefix + name);
  }

  has(name: string): boolean {
    return this.#locations.has(this.#prefix + name);
  }

  /** The tensor as an external initialiser of the graph. */
  value(graph: Graph, fullName: string): Value {
    return graph.weight(this.#locate(fullName));
  }

  #locate(fullName: string): TensorLocation {
    const location = this.#locations.get(fullName);
    if (location === undefined) {
      throw new InvalidInputError(`weights in ${this.directory}`, `a tensor named ${fullName}`, 'none');
    }
    return location;
  }
}

const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Finds the tensors of a Hugging Face directory, `model.safetensors` or the shards of `model.safetensors.index.json`.
 *
 * @param prefixes tried in order; the first with which `probe` exists is the checkpoint's
 * @throws {InvalidInputError} if there are no weights or none is named `probe`
 * @throws {MalformedFileError} if a file is damaged
 */
export async function openWeights(directory: string, prefixes: readonly string[], probe: string): Promise<Weights> {
  const files = await weightFiles(directory);
  const locations = new Map<string, TensorLocation>();
  for (const file of files) {
    const { tensors } = await openSafetensors(file);
    for (const [name, location] of tensors) locations.set(name, location);
  }
  const prefix = prefixes.find((candidate) => locations.has(candidate + probe));
  if (prefix === undefined) {
    throw new InvalidInputError(
      `weights in ${directory}`,
      `a tensor named ${prefixes[0]}${probe}`,
      `${locations.size} others`,
    );
  }
  return new Weights(directory, files, locations, prefix);
}

async function weightFiles(directory: string): Promise<string[]> {
  const single = await realpathOrUndefined(join(directory, 'model.safetensors'));
  if (single !== undefined) return [single];
  const indexPath = join(directory, 'model.safetensors.index.json');
  if ((await realpathOrUndefined(indexPath)) === undefined) {
    throw new InvalidInputError(`model ${directory}`, 'model.safetensors or model.safetensors.index.json', 'neither');
  }
  const names = new Set(Object.values(await readShardMap(indexPath)));
  const files: string[] = [];
  for (const name of [...names].sort()) {
    const file = basename(name) === name ? await realpathOrUndefined(join(directory, name)) : undefined;
    if (file === undefined)
      throw new InvalidInputError(`model ${directory}`, `the shard ${name} of its index`, 'no such file');
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
  try {
    return parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(path, 'JSON', (cause as Error).message, { cause });
  }
}

async function realpathOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
