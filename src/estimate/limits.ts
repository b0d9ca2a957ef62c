/** @file Limits of the program itself, on any machine. */
import type { EstimateRequest } from './estimate-request.js';
import { factorBytes, sumsBytes } from './stored-bytes.js';

/** Most elements of one typed array in Node.js 20. */
const arrayLength = 2 ** 32;
/** Memory of the deployed function that verifies a round's statistics. */
const functionBytes = 2 * 2 ** 30;

/** One line for each limit that the job exceeds. */
export function limitsOf({ config, settings, shape, edits }: EstimateRequest): string[] {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const sums = settings.layers.length * sumsBytes(config);
  const factor = factorBytes(config);
  const mostEdits = Math.floor(Math.sqrt(arrayLength) / shape.rows);
  return [
    ...(edits > mostEdits
      ? [
          `The gram matrix of a layer is one array: at most ${mostEdits.toLocaleString('en')} edits of ${shape.rows} rows in ` +
            `one model's versions, got ${edits.toLocaleString('en')}.`,
        ]
      : []),
    ...(sums > arrayLength
      ? [`Moment sums of all layers are one file: at most ${gigabytes(arrayLength)}, got ${gigabytes(sums)}.`]
      : []),
    ...(factor > functionBytes
      ? [
          `A function verifies each layer's inverse factor in ${gigabytes(functionBytes)} of memory, got ` +
            `${gigabytes(factor)}: deploy it with more, or run the rounds without the cloud's state machine.`,
        ]
      : []),
  ];
}
