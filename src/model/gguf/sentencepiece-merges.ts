/** @file Merges for a SentencePiece vocabulary that has scores only. */

type Pair = readonly [left: string, right: string];

interface ScoredPair {
  readonly pair: Pair;
  readonly score: number;
  readonly leftCharacters: number;
  readonly rightCharacters: number;
}

/**
 * The merges by which plain BPE gives SentencePiece's segmentation: every split of every token into two tokens, ordered
 * by the score of the whole (best first), then by the lengths of the parts (longest first), then as found; the splits
 * of one token are found in the order of their parts' ids. This is the derivation of transformers' converter.
 *
 * @param scores of the tokens, by id
 */
export function mergesOfScores(vocab: ReadonlyMap<string, number>, scores: readonly number[]): Pair[] {
  const found: ScoredPair[] = [];
  for (const [token, id] of vocab) found.push(...splitsOf(token, scores[id]!, vocab));
  return found
    .sort((a, b) => b.score - a.score || b.leftCharacters - a.leftCharacters || b.rightCharacters - a.rightCharacters)
    .map(({ pair }) => pair);
}

function splitsOf(token: string, score: number, vocab: ReadonlyMap<string, number>): ScoredPair[] {
  const characters = [...token];
  const splits: ScoredPair[] = [];
  for (let at = 1; at < characters.length; at++) {
    const left = characters.slice(0, at).join('');
    const right = characters.slice(at).join('');
    if (!vocab.has(left) || !vocab.has(right)) continue;
    splits.push({ pair: [left, right], score, leftCharacters: at, rightCharacters: characters.length - at });
  }
  const id = (part: string) => vocab.get(part)!;
  return splits.sort((a, b) => id(a.pair[0]) - id(b.pair[0]) || id(a.pair[1]) - id(b.pair[1]));
}
