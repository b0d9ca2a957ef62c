import { expect, it } from 'vitest';
import { figure } from '../../bench/figure.js';
import { markdownOf } from '../../bench/print.js';

const by = (name: string, what: string, value: number) => ({ ...figure(what, value, '', { atMost: 0.5 }), by: name });

it('gives each of those who are compared a column, and says that one of them missed', () => {
  const figures = [by('ours', 'drift', 0.125), by('MEMIT', 'drift', 0.75), by('MEMIT', 'loss', 0.25)];
  expect(markdownOf({ name: 'peers', figures }).split('\n')).toEqual([
    '|  | ours | MEMIT | unit | wanted |  |',
    '| --- | --: | --: | --- | --- | --- |',
    '| drift | 0.125 | 0.750 |  | <= 0.5 | MISSED |',
    '| loss |  | 0.250 |  | <= 0.5 | met |',
  ]);
});
