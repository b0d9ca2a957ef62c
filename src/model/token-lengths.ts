/** @file How much text one token can stand for. */
import type { TokenBytes } from './token-bytes.js';
import type { TextPipeline, TokenizerDefinition } from './tokenizer-definition.js';

/**
 * No Unicode normalisation makes fewer bytes of UTF-8 than half as many as it was given UTF-16 units. (A letter of the
 * mathematical alphabets, two units, becomes one ASCII letter.)
 */
const unitsPerNormalizedByte = 2;

/**
 * Most UTF-16 units of text that one token of a vocabulary stands for: a text of more units than this times a number of
 * tokens has more tokens. Undefined where text may vanish, or run into one token without end.
 */
export function longestTokenText(
  definition: TokenizerDefinition,
  { normalizers, preTokenizers }: TextPipeline,
  tokenBytes: TokenBytes,
): number | undefined {
  const { model, added_tokens: addedTokens } = definition;
  const takesSpaces = addedTokens.some(({ lstrip, rstrip }) => lstrip || rstrip);
  const isByteLevel = preTokenizers.some(({ type }) => type === 'ByteLevel');
  const coversAll = isByteLevel
    ? utf8Bytes.every((byte) => !tokenBytes.drops(byte))
    : (model.byte_fallback && everyByte.every((token) => token in model.vocab)) ||
      (model.unk_token != null && !model.fuse_unk);
  const dropsText =
    preTokenizers.some(({ behavior }) => behavior === 'Removed') ||
    normalizers.some(({ type, content }) => type === 'Replace' && !content);
  const forms = normalizers.filter(({ type }) => type.startsWith('NF'));
  if (takesSpaces || !coversAll || dropsText || forms.length > 1) return undefined;
  const contents = addedTokens.map(({ content }) => content);
  // Every UTF-16 unit takes a byte of UTF-8 at least. Outside byte levels, the mark of a space takes more than the space.
  const lengthOf = (token: string) => (isByteLevel ? tokenBytes.bytes(token).length : Buffer.byteLength(token));
  const longest = [...Object.keys(model.vocab), ...contents].reduce((most, token) => {
    // No unit takes more than three bytes, so that most tokens need no closer look.
    return Math.max(most, 3 * token.length > most ? lengthOf(token) : 0);
  }, unitsOfUnknown);
  return forms.length === 0 ? longest : longest * unitsPerNormalizedByte;
}

/** An unknown character is a token of its own. */
const unitsOfUnknown = 2;

/** The bytes that occur in UTF-8. */
const utf8Bytes = Array.from({ length: 256 }, (_, byte) => byte).filter(
  (byte) => byte !== 0xc0 && byte !== 0xc1 && byte < 0xf5,
);
const everyByte = utf8Bytes.map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
