/** The known names that a misspelt one may mean: the most similar first, none that differs in more than a third of it. */
export function closestNames(name: string, known: readonly string[], count = 3): string[] {
  const most = Math.max(1, Math.ceil(name.length / 3));
  return [...new Set(known)]
    .filter((other) => Math.abs(other.length - name.length) <= most)
    .map((other) => ({ other, distance: editDistance(name.toLowerCase(), other.toLowerCase()) }))
    .filter(({ distance }) => distance <= most)
    .sort((first, second) => first.distance - second.distance)
    .slice(0, count)
    .map(({ other }) => other);
}

/** The Levenshtein distance: how many characters must be inserted, deleted or replaced. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = previous[column - 1] + Number(from[row - 1] !== to[column - 1]);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[to.length];
}
