/** @file Import of GGUF files; all that it takes is loaded with the first of them. */
import type { ImportOptions } from './import-gguf.js';

export type { ImportDtype, ImportOptions } from './import-gguf.js';

/** As `importGguf` in `import-gguf.ts` says. */
export async function importGguf(path: string, directory: string, options?: ImportOptions): Promise<void> {
  const { importGguf: importFile } = await import('./import-gguf.js');
  await importFile(path, directory, options);
}
