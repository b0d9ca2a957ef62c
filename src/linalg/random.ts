/** Pseudo-random whole numbers of 0 .. 2^32 - 1 from a 32-bit state: splitmix32. */
export function randomIntegers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** Independent signs +1 and -1 from a seed. */
export function randomSigns(seed: number): () => 1 | -1 {
  const next = randomIntegers(seed);
  return () => (next() >= 2 ** 31 ? -1 : 1);
}
