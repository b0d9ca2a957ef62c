/** @file Parts of schemas for records from outside, and their errors as one line in plain words. */
import { z } from 'zod';
import { printable } from './decode-line.js';

const SHOWN_CHARACTERS = 60;
const SHOWN_ISSUES = 3;

/** Requirements of a text field. */
export interface TextRule {
  readonly maxCharacters: number;
  /** Spaces are removed at both ends, or only at the end (a continuation of a prompt has its own at the start). */
  readonly trim: 'both' | 'end';
  /** Line breaks and tabs may occur. */
  readonly allowsLines: boolean;
  /** How many `{}` it holds. */
  readonly holes: 'one' | 'any' | 'none';
}

/** Schema of a text field. Its messages are requirements, see {@link reasonOf}. */
export function textField(rule: TextRule) {
  const requirement = `a text of 1 to ${rule.maxCharacters} characters`;
  return z
    .string({ error: requirement })
    .transform((text) => (rule.trim === 'both' ? text.trim() : text.replace(/[ \t]+$/, '')))
    .pipe(
      z
        .string()
        .refine((text) => text.trim() !== '' && text.length <= rule.maxCharacters, { error: requirement, abort: true })
        .refine((text) => !hasControlCharacter(text, rule.allowsLines), {
          error: controlRequirement(rule),
          abort: true,
        })
        .refine((text) => !/\p{Cs}/u.test(text), { error: 'whole Unicode characters', abort: true })
        .refine((text) => hasHoles(text, rule.holes), { error: holeRequirements[rule.holes] }),
    );
}

/** Schema of a list of texts; empty if the field is missing. */
export function textList(maxItems: number, rule: TextRule) {
  const requirement = `a list of at most ${maxItems} texts`;
  return z
    .array(z.unknown(), { error: requirement })
    .max(maxItems, { error: requirement, abort: true })
    .pipe(z.array(textField(rule)))
    .default([]);
}

const holeRequirements = {
  one: 'exactly one {} in the place of the subject',
  none: 'a text without {}',
  any: 'a text',
} as const;

function hasHoles(text: string, holes: TextRule['holes']): boolean {
  const count = text.split('{}').length - 1;
  return holes === 'any' || count === (holes === 'one' ? 1 : 0);
}

function controlRequirement(rule: TextRule): string {
  return rule.allowsLines ? 'no control characters but line breaks and tabs' : 'one line without control characters';
}

function hasControlCharacter(text: string, allowsLines: boolean): boolean {
  return /\p{Cc}/u.test(allowsLines ? text.replace(/[\n\r\t]/g, '') : text);
}

/** A schema's errors as one line: `field: requirement, got value; ...`. */
export function reasonOf(error: z.ZodError, record: unknown, knownFields: readonly string[]): string {
  const byField = new Map<string, string>();
  for (const issue of error.issues) {
    const reasons = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownField(key, knownFields)) : [];
    for (const reason of reasons) byField.set(reason, reason);
    if (reasons.length > 0) continue;
    const field = fieldName(issue.path);
    if (!byField.has(field))
      byField.set(field, `${field}: ${issue.message}, got ${describeInput(valueAt(record, issue.path))}`);
  }
  const reasons = [...byField.values()];
  const rest = reasons.length - SHOWN_ISSUES;
  return reasons.slice(0, SHOWN_ISSUES).join('; ') + (rest > 0 ? `; and ${rest} more` : '');
}

function unknownField(key: string, knownFields: readonly string[]): string {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z]/g, '');
  const meant = knownFields.find((field) => plain(field) === plain(key));
  const hint = meant ? `, did you mean ${meant}?` : ` (fields: ${knownFields.join(', ')})`;
  return `unknown field ${describeInput(key)}${hint}`;
}

function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'record';
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : (index ? '.' : '') + String(step)))
    .join('');
}

function valueAt(record: unknown, path: readonly PropertyKey[]): unknown {
  let value = record;
  for (const step of path) value = Object(value)[step];
  return value;
}

/** A value from outside in a few words. */
export function describeInput(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value === '') return 'an empty text';
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${String(value)}`;
}

function quote(text: string): string {
  const characters = [...text.slice(0, 2 * SHOWN_CHARACTERS)];
  if (text.length <= SHOWN_CHARACTERS) return `"${printable(text)}"`;
  return `"${printable(characters.slice(0, SHOWN_CHARACTERS).join(''))}…" (${text.length} characters)`;
}
