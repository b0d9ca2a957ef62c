/** @file Gradient rules of the operators that rearrange elements without computing on them. */
import { addDims, type Dim } from '../dim.js';
import { concat, reshape, slice, squeeze, transpose, unbroadcast, unsqueeze, zeros } from '../shaping.js';
import type { GradientTable } from './gradient-rule.js';

export const shapingGradients: GradientTable<
  'concat' | 'slice' | 'reshape' | 'squeeze' | 'unsqueeze' | 'transpose' | 'expand' | 'sizeOf'
> = {
  concat: ({ upstream, inputs, attributes: { axis } }) =>
    inputs.map((input, index) => {
      const start = addDims(...inputs.slice(0, index).map((value) => [value.shape[axis]!, 1] as const));
      return () => slice(upstream, axis, start, addDims([start, 1], [input.shape[axis]!, 1]));
    }),
  slice: ({ upstream, inputs: [x, ...bounds], attributes: { axis, start, end } }) => [
    () => {
      const padding = (size: Dim) =>
        size === 0
          ? []
          : [
              zeros(
                upstream,
                x!.shape.map((dim, index) => (index === axis ? size : dim)),
              ),
            ];
      const after = addDims([x!.shape[axis]!, 1], [end, -1]);
      return concat([...padding(start), upstream, ...padding(after)], axis);
    },
    ...bounds.map(() => null),
  ],
  reshape: ({ upstream, inputs: [x, ...target] }) => [() => reshape(upstream, x!.shape), ...target.map(() => null)],
  squeeze: ({ upstream, attributes: { axes } }) => [() => unsqueeze(upstream, axes)],
  unsqueeze: ({ upstream, attributes: { axes } }) => [() => squeeze(upstream, axes)],
  transpose: ({ upstream, attributes: { permutation } }) => [
    () =>
      transpose(
        upstream,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
  ],
  expand: ({ upstream, inputs: [x, ...target] }) => [() => unbroadcast(upstream, x!.shape), ...target.map(() => null)],
  sizeOf: () => [null],
};
