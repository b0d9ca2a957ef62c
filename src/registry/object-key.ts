/** @file Rules for object keys and model ids. It imports nothing of Node, because infrastructure code uses it too. */
import { InvalidInputError } from '../errors.js';

/** S3's limit on a key's UTF-8 length. */
export const objectKeyLimitBytes = 1024;

/** The longest file name that file systems accept. */
const segmentLimitBytes = 255;

/** The folder in which the directory store keeps its locks and temporary files. No object lies below it. */
export const reservedFolder = '.hookline';

// C0 controls and DEL, which S3 does not list faithfully, and lone surrogates, which all encode to the same bytes.
const forbiddenCharacter = /[\p{Cc}\p{Surrogate}\\]/u;

/**
 * Checks an object key: relative, forward slashes only, no segment that is empty, `.` or `..`, no backslash, control
 * character or lone surrogate, at most 1024 bytes in all and 255 in a segment, and not in the store's own folder.
 * @returns the key itself
 * @throws {InvalidInputError} naming the rule that is broken
 */
export function checkObjectKey(key: string): string {
  if (key === '') throw new InvalidInputError('object key', 'at least one character', 'an empty string');
  checkCharacters(key);
  for (const segment of key.split('/')) checkSegment(segment, key);
  checkNotReserved(key);
  return key;
}

/**
 * Checks a key prefix: empty, or the beginning of some valid key (its last segment may be empty or incomplete).
 * @throws {InvalidInputError} naming the rule that is broken
 */
export function checkKeyPrefix(prefix: string): string {
  checkCharacters(prefix);
  for (const segment of prefix.split('/').slice(0, -1)) checkSegment(segment, prefix);
  checkNotReserved(prefix);
  return prefix;
}

/**
 * Checks a name from outside that becomes one segment of a key, or the end of one.
 * @returns the name itself
 * @throws {InvalidInputError} for a slash, and for anything that no key may contain
 */
export function checkKeySegment(what: string, name: string): string {
  if (name.includes('/')) throw new InvalidInputError(what, 'one segment of a key', shown(name));
  checkCharacters(name);
  checkSegment(name, name);
  return name;
}

function checkCharacters(key: string): void {
  if (forbiddenCharacter.test(key)) {
    throw new InvalidInputError('object key', 'no backslash, control character or lone surrogate', shown(key));
  }
  const sizeBytes = utf8SizeBytes(key);
  if (sizeBytes > objectKeyLimitBytes) {
    throw new InvalidInputError('object key', `at most ${objectKeyLimitBytes} bytes`, `${sizeBytes} bytes`);
  }
}

function checkSegment(segment: string, key: string): void {
  if (segment === '' || segment === '.' || segment === '..') {
    throw new InvalidInputError('object key', 'relative, without empty, "." or ".." segments', shown(key));
  }
  const sizeBytes = utf8SizeBytes(segment);
  if (sizeBytes > segmentLimitBytes) {
    throw new InvalidInputError('segment of an object key', `at most ${segmentLimitBytes} bytes`, `${sizeBytes} bytes`);
  }
}

function checkNotReserved(key: string): void {
  // Some file systems do not distinguish upper and lower case.
  if (key.split('/', 1)[0]?.toLowerCase() === reservedFolder) {
    throw new InvalidInputError('object key', `outside the store's own folder ${reservedFolder}/`, shown(key));
  }
}

const utf8SizeBytes = (text: string): number => new TextEncoder().encode(text).length;
/** A name as messages quote it. A long one is cut. */
export const shown = (key: string): string => JSON.stringify(key.length > 80 ? `${key.slice(0, 77)}...` : key);

const modelIdPattern = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/**
 * Checks a model id: `[a-z0-9][a-z0-9._-]{0,99}`.
 * @returns the id itself
 * @throws {InvalidInputError} otherwise
 */
export function checkModelId(modelId: string): string {
  if (!modelIdPattern.test(modelId)) {
    throw new InvalidInputError('model id', '1 to 100 of a-z 0-9 . _ -, the first a letter or digit', shown(modelId));
  }
  return modelId;
}

/**
 * The model id of a free name, such as a hub id or a folder's name: accents dropped, lower case, every other run of
 * characters a hyphen, at most 100 characters. Idempotent.
 * @throws {InvalidInputError} if no letter a-z or digit is left
 */
export function modelIdFrom(name: string): string {
  const slug = name
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 100)
    .replace(/[^a-z0-9]+$/, '');
  if (slug === '') throw new InvalidInputError('model name', 'at least one letter a-z or digit', shown(name));
  return slug;
}
