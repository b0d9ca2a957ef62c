/** @file Batch files of any bytes, through the reader and through the stage that ingests them. */
import fc from 'fast-check';
import { batchReaderProperty, ingestProperty } from '../support/batch-bytes.js';

/** Runs each property over so many cases. */
export async function fuzz({ cases, seed }: { readonly cases: number; readonly seed: number }) {
  const startedAt = performance.now();
  const broken: string[] = [];
  const counts: Record<string, number> = {};
  for (const [name, property] of Object.entries({ reader: batchReaderProperty, ingest: ingestProperty })) {
    const run = await fc.check<unknown[]>(property as fc.IAsyncProperty<unknown[]>, { numRuns: cases, seed });
    counts[name] = run.numRuns;
    if (run.failed) broken.push(`${name}: ${fc.defaultReportMessage(run as fc.RunDetails<unknown>)}`);
  }
  counts.seconds = (performance.now() - startedAt) / 1000;
  return { counts, broken };
}
