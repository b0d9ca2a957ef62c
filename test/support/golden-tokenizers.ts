import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TokenizerDefinition, tokenizerDefinition } from '../../src/model/tokenizer-definition.js';

const folder = fileURLToPath(new URL('../golden/tokenizer/', import.meta.url));

/** The folder of a golden tokenizer, such as `gpt2`. */
export const tokenizerFolder = (style: string): string => join(folder, style);

/** What its `tokenizer.json` defines. */
export async function definitionOf(style: string): Promise<TokenizerDefinition> {
  return tokenizerDefinition.parse(JSON.parse(await readFile(join(folder, style, 'tokenizer.json'), 'utf8')));
}
