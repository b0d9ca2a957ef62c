/** @file A tiny random decoder with a tokenizer of its own, and text for it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importGguf } from '../../src/model/gguf/index.js';
import { loadModel, loadTokenizer, type Model, modelDigest, type Tokenizer } from '../../src/model/index.js';
import { uniform } from './random-matrix.js';

const source = new URL('../golden/gguf/llama3/model.gguf', import.meta.url).pathname;

/** A model of 2 layers with dInner 48 and 520 tokens, in a folder of its own. */
export class TinyDecoder {
  private constructor(
    readonly folder: string,
    readonly model: Model,
    readonly tokenizer: Tokenizer,
    readonly digest: string,
  ) {}

  static async open(): Promise<TinyDecoder> {
    const folder = await mkdtemp(join(tmpdir(), 'hookline-tiny-'));
    await importGguf(source, join(folder, 'model'));
    const model = await loadModel(join(folder, 'model'));
    return new TinyDecoder(folder, model, await loadTokenizer(model.directory), await modelDigest(model));
  }

  /** Writes a text file. @returns its path */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, text);
    return path;
  }

  /** Gives the model a chat template: `<role>content</>` for each message. @returns its tokenizer with it */
  async chatting(): Promise<Tokenizer> {
    const messages = '{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}';
    await writeFile(join(this.model.directory, 'chat_template.jinja'), `${messages}<assistant>`);
    return loadTokenizer(this.model.directory);
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true });
  }
}

/** Paragraphs of made-up words, of different lengths. */
export function madeUpText(paragraphs: number, seed: number): string {
  const next = uniform(seed);
  const letters = 'abcdefghijklmnoprstuvwy';
  const repeat = (times: number, part: () => string, joint: string) => Array.from({ length: times }, part).join(joint);
  const letter = () => letters[Math.floor(next() * letters.length)];
  const word = () => repeat(1 + Math.floor(next() * 7), letter, '');
  return repeat(paragraphs, () => `${repeat(3 + Math.floor(next() * 30), word, ' ')}.`, '\n\n');
}
