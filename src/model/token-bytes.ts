/** @file The bytes that the tokens of a vocabulary stand for. */

/** The bytes of a vocabulary's tokens. */
export interface TokenBytes {
  /** The token's bytes in the text that normaliser and pre-tokeniser make. */
  bytes(token: string): Uint8Array;
  /** The token's bytes in the text that a reader sees, with spaces in place of their marks. */
  readableBytes(token: string): Uint8Array;
  /** Whether no token of the vocabulary can stand for this byte. */
  drops(byte: number): boolean;
}

const encoder = new TextEncoder();

/** Printable bytes stand for themselves, the others for the characters from U+0100 on (GPT-2, `bytes_to_unicode`). */
const characterOfByte: readonly string[] = (() => {
  let next = 0x100;
  const isPrintable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
})();
const byteOfCharacter = new Map(characterOfByte.map((character, byte) => [character, byte]));

/** Byte-level vocabularies: one character per byte; tokens of other characters stand for their UTF-8. */
export function byteLevelTokens(hasToken: (token: string) => boolean): TokenBytes {
  const bytes = (token: string) => {
    const found = Array.from(token, (character) => byteOfCharacter.get(character));
    return found.includes(undefined) ? encoder.encode(token) : Uint8Array.from(found as number[]);
  };
  const dropped = characterOfByte.map((character) => !hasToken(character));
  return { bytes, readableBytes: bytes, drops: (byte) => dropped[byte]! };
}

/** SentencePiece vocabularies: text with a mark for the space, and `<0xE2>` for single bytes. */
export function markedTokens(mark: string): TokenBytes {
  const bytes = (token: string) => {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
    return byte === undefined ? encoder.encode(token) : Uint8Array.of(Number.parseInt(byte, 16));
  };
  return { bytes, readableBytes: (token) => bytes(token.replaceAll(mark, ' ')), drops: () => false };
}

/** The text of bytes in parts; broken characters become U+FFFD. */
export function textOfBytes(parts: readonly Uint8Array[]): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts));
}

/**
 * Where in the text of the parts each part ends, if the parts up to it were all: [start, end) in UTF-16 units.
 *
 * The text is decoded piece by piece: between two parts where no character goes on, and where none is begun, the decoder
 * starts anew. So the time is in proportion to the bytes.
 */
export function spansOfParts(parts: readonly Uint8Array[]): [start: number, end: number][] {
  let piece: Uint8Array[] = [];
  let before = 0;
  let end = 0;
  let lastBytes: readonly number[] = [];
  return parts.map((part) => {
    // After three bytes that go on, whatever was begun is complete or broken.
    const isNothingBegun = lastBytes.length === 3 && lastBytes.every(goesOn);
    if (part.length > 0 && (isNothingBegun || !goesOn(part[0]!))) {
      before = end;
      piece = [];
    }
    piece.push(part);
    lastBytes = [...lastBytes, ...part.subarray(-3)].slice(-3);
    const start = end;
    end = before + textOfBytes(piece).length;
    return [start, end];
  });
}

const goesOn = (byte: number): boolean => byte >= 0x80 && byte < 0xc0;
