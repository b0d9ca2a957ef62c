/**
 * A stored value with the names that its fields have today, where an earlier release wrote them under others. What is no
 * object is left as it is: the schema says what is wrong with it.
 *
 * @param names today's name of each former one
 */
export function withTodaysNames(value: unknown, names: Readonly<Record<string, string>>): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [names[name] ?? name, field]));
}
