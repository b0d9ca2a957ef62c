import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../../src/model/index.js';
import { TextPieces } from '../../../src/serving/text-pieces.js';

const tokenizer = await loadTokenizer(join(import.meta.dirname, '../../../examples/aldermark/model'));

function piecesOf(
  reader: Tokenizer,
  promptIds: readonly number[],
  ids: readonly number[],
  stop: readonly string[] = [],
) {
  const pieces = new TextPieces(reader, promptIds, stop);
  const heard: string[] = [];
  for (const id of ids) {
    heard.push(pieces.push(id));
    if (pieces.isStopped) break;
  }
  return { heard: [...heard, pieces.end()], isStopped: pieces.isStopped };
}

describe('text in pieces', () => {
  const prompt = tokenizer.encode('The mayor of Aldermark is').ids;

  it('is the whole text, whatever it says, and no piece has half a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
        const ids = tokenizer.encodePlain(text).ids;
        const { heard } = piecesOf(tokenizer, prompt, ids);
        expect(heard.join('')).toBe(tokenizer.decode(ids));
        if (!text.includes('\ufffd')) expect(heard.slice(0, -1).join('')).not.toContain('\ufffd');
      }),
    );
  });

  it('comes token by token where nothing has to be waited for', () => {
    const ids = tokenizer.encodePlain(' Anna of the river').ids;
    const { heard } = piecesOf(tokenizer, prompt, ids);
    expect(heard).toEqual([...ids.map((id) => tokenizer.decode([id])), '']);
  });

  it('ends before the first stop string, and nothing of it was ever said', () => {
    const word = fc.constantFrom(' river', ' town', 'a', 'ab', '.', '\n', ' the');
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 20 }),
        fc.array(
          fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('')),
          { minLength: 1, maxLength: 3 },
        ),
        (words, stop) => {
          const text = words.join('');
          const { ids } = tokenizer.encodePlain(text);
          const { heard, isStopped } = piecesOf(tokenizer, prompt, ids, stop);
          // The first token with which one of them is complete: another may have begun earlier, and would end later.
          const texts = ids.map((_, last) => tokenizer.decode(ids.slice(0, last + 1)));
          const stopped = texts.find((so) => stop.some((one) => so.includes(one)));
          const ends = stop.map((one) => stopped?.indexOf(one) ?? -1).filter((position) => position >= 0);
          expect(isStopped).toBe(stop.some((one) => text.includes(one)));
          expect(heard.join('')).toBe(text.slice(0, Math.min(text.length, ...ends)));
        },
      ),
    );
  });

  it('says what it held back when no stop string came of it', () => {
    const ids = tokenizer.encodePlain(' the end').ids;
    const { heard } = piecesOf(tokenizer, prompt, ids, [' the end of it']);
    expect(heard.slice(0, -1).join('')).toBe('');
    expect(heard.at(-1)).toBe(' the end');
  });

  it('shows bytes that never become a character as such at the end', () => {
    const [first] = tokenizer.encodePlain('\u{1F3F0}').ids;
    const { heard } = piecesOf(tokenizer, prompt, [first]);
    expect(heard).toEqual(['', tokenizer.decode([first])]);
  });
});
