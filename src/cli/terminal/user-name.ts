/** The name of the user who runs the command, for records. */
export const userName = (): string => process.env.USER ?? process.env.USERNAME ?? 'unknown';
