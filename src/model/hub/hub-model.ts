import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { InvalidInputError } from '../../errors.js';
import { jsonOf } from '../blocks/weights.js';
import { checkModelConfig } from '../read-model-config.js';
import { asHubError } from './hub-error.js';
import { downloadVerified, type HubFile } from './hub-file.js';

/** Settings of a download. */
export interface HubDownloadOptions {
  /** Branch, tag or commit. */
  readonly revision: string;
  /** Such as `https://huggingface.co`. */
  readonly hubUrl: string;
  readonly accessToken?: string | undefined;
  readonly onProgress?: (advance: {
    readonly doneBytes: number;
    readonly totalBytes: number;
    readonly file: string;
  }) => void;
}

/** A downloaded model. */
export interface HubModel {
  /** All files are of this commit. */
  readonly commit: string;
  readonly files: readonly string[];
  readonly sizeBytes: number;
}

/**
 * Downloads what a model directory needs, and verifies every file by the hub's digest. Unfinished files stay under
 * hidden names, so that another call goes on where this one broke off. `config.json` comes last, because a directory
 * without it is no model.
 *
 * @throws {InvalidInputError} if the hub does not show such a model, or it has no safetensors or tokenizer
 * @throws as {@link checkModelConfig}, before any weight is downloaded
 * @throws {DigestMismatchError} if a file is not what the hub has
 * @throws {TransientError} if the hub does not answer
 */
export async function downloadHubModel(
  hubId: string,
  directory: string,
  options: HubDownloadOptions,
): Promise<HubModel> {
  checkHubId(hubId);
  const access = accessOf(hubId, options);
  const commit = await commitOf(hubId, options);
  const files = neededFiles(hubId, await filesOf(access, commit));
  await checkConfig(hubId, () => openFile(access, commit, 'config.json'));
  await mkdir(directory, { recursive: true });
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let earlierBytes = 0;
  for (const file of files) {
    const { path } = file;
    await downloadVerified(file, join(directory, path), {
      open: () => openFile(access, commit, path),
      onBytes: (doneBytes) => options.onProgress?.({ doneBytes: earlierBytes + doneBytes, totalBytes, file: path }),
    });
    earlierBytes += file.sizeBytes;
  }
  return { commit, files: files.map((file) => file.path), sizeBytes: totalBytes };
}

interface Access {
  readonly repo: string;
  readonly hubUrl: string;
  readonly accessToken?: string;
}

function accessOf(repo: string, { hubUrl: givenUrl, accessToken }: HubDownloadOptions): Access {
  const hubUrl = givenUrl.replace(/\/+$/, '');
  if (!URL.canParse(hubUrl)) throw new InvalidInputError('--hub-url', 'an http or https URL', JSON.stringify(hubUrl));
  if (!accessToken) return { repo, hubUrl };
  if (!accessToken.startsWith('hf_'))
    throw new InvalidInputError('HF_TOKEN', 'a token that begins with hf_', 'another text');
  return { repo, hubUrl, accessToken };
}

function checkHubId(hubId: string): void {
  if (/^[\w][\w.-]*(\/[\w][\w.-]*)?$/.test(hubId)) return;
  throw new InvalidInputError('hub id', 'owner/model, such as EleutherAI/pythia-160m', JSON.stringify(hubId));
}

async function commitOf(name: string, options: HubDownloadOptions): Promise<string> {
  const { repo: _, ...access } = accessOf(name, options);
  try {
    const { sha } = await modelInfo({ name, revision: options.revision, additionalFields: ['sha'], ...access });
    return sha;
  } catch (error) {
    throw asHubError(error, `${name} at ${options.revision}`, access.hubUrl);
  }
}

async function filesOf(access: Access, revision: string): Promise<ListFileEntry[]> {
  try {
    const entries: ListFileEntry[] = [];
    for await (const entry of listFiles({ ...access, revision })) if (entry.type === 'file') entries.push(entry);
    return entries;
  } catch (error) {
    throw asHubError(error, access.repo, access.hubUrl);
  }
}

async function openFile(access: Access, revision: string, path: string): Promise<Blob> {
  try {
    const blob = await downloadFile({ ...access, revision, path });
    if (blob !== null) return blob;
  } catch (error) {
    throw asHubError(error, `${access.repo}/${path}`, access.hubUrl);
  }
  throw new InvalidInputError(`hub model ${access.repo}`, `a file ${path}`, 'none');
}

const weightFile = /^model(-\d+-of-\d+)?\.safetensors$/;
const otherFiles = new Set([
  'model.safetensors.index.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'special_tokens_map.json',
  'generation_config.json',
  'config.json',
]);

/** The files of a model directory, `config.json` last. */
function neededFiles(hubId: string, entries: readonly ListFileEntry[]): HubFile[] {
  const paths = entries.map((entry) => entry.path);
  const require = (requirement: string, found: boolean, got: string) => {
    if (!found) throw new InvalidInputError(`hub model ${hubId}`, requirement, got);
  };
  require('a config.json', paths.includes('config.json'), 'none');
  require('a tokenizer.json', paths.includes('tokenizer.json'), 'none');
  const others = paths.filter((path) => /\.(bin|pt|pth|gguf|onnx|safetensors)$/.test(path));
  require('weights as model.safetensors', paths.some((path) => weightFile.test(path)), others.join(', ') || 'none');
  const order = (path: string) => (path === 'config.json' ? 2 : weightFile.test(path) ? 1 : 0);
  return entries
    .filter(({ path }) => weightFile.test(path) || otherFiles.has(path))
    .map(({ path, size, oid, lfs }) => ({ path, sizeBytes: lfs?.size ?? size, gitOid: oid ?? '', sha256: lfs?.oid }))
    .sort((first, second) => order(first.path) - order(second.path) || first.path.localeCompare(second.path));
}

/** What a config says that is not computed here is not worth a download of gigabytes. */
async function checkConfig(hubId: string, openConfig: () => Promise<Blob>): Promise<void> {
  const file = `config.json of ${hubId}`;
  checkModelConfig(jsonOf(await (await openConfig()).text(), file), file);
}
