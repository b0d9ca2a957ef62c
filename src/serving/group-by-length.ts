/**
 * Groups sequences so that each group, padded to its longest, has at most `limit` places. Long ones come first. A
 * sequence longer than `limit` is a group of its own. Groups have similar lengths, so there is little padding.
 *
 * @param lengths of the sequences
 * @returns groups of indices into `lengths`, every index once
 */
export function groupByLength(lengths: readonly number[], limit: number): number[][] {
  const falling = [...lengths.keys()].sort((a, b) => lengths[b] - lengths[a]);
  const groups: number[][] = [];
  for (const index of falling) {
    const group = groups.at(-1);
    if (group !== undefined && (group.length + 1) * lengths[group[0]] <= limit) group.push(index);
    else groups.push([index]);
  }
  return groups;
}
