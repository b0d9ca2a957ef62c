/**
 * A stored value with today's names of its fields, where an earlier release wrote others. A value that is no object
 * stays as it is, and the schema refuses it.
 *
 * @param names from former names to today's
 */
export function withTodaysNames(value: unknown, names: Readonly<Record<string, string>>): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [names[name] ?? name, field]));
}
