/** @file Gradient rules of the operators that read and add at computed positions. */
import { multiplyDims } from '../dim.js';
import { gather, gatherElements, scatterElementsAdd, scatterRowsAdd } from '../indexing.js';
import { lastDim } from '../requirements.js';
import { concat, reshape, zeros, zerosLike } from '../shaping.js';
import type { GradientTable } from './gradient-rule.js';

export const indexingGradients: GradientTable<'gather' | 'takeRows' | 'gatherElements' | 'scatterElementsAdd'> = {
  gather: ({ upstream, inputs: [table, indices] }) => [
    () => scatterRowsAdd(zerosLike(table!), indices!, upstream),
    null,
  ],
  takeRows: ({ upstream, inputs: [x, index, inverse], attributes: { partial } }) => [
    () => {
      const rows = reshape(upstream, [multiplyDims(index!.shape), lastDim(x!)]);
      return gather(partial ? concat([rows, zeros(rows, [1, lastDim(x!)])], 0) : rows, inverse!);
    },
    null,
    null,
  ],
  gatherElements: ({ upstream, inputs: [x, indices], attributes: { axis } }) => [
    () => scatterElementsAdd(zerosLike(x!), indices!, upstream, axis),
    null,
  ],
  scatterElementsAdd: ({ upstream, inputs: [, indices], attributes: { axis } }) => [
    () => upstream,
    null,
    () => gatherElements(upstream, indices!, axis),
  ],
};
