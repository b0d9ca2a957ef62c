/** Who runs the command, as records name them. */
export const userName = (): string => process.env.USER ?? process.env.USERNAME ?? 'unknown';
