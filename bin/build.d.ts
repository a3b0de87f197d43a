/** Builds `dist/` from `src/` where it is missing or older; says so in one line on standard error. */
export function ensureBuilt(): Promise<void>
