import { expect, test } from 'vitest';
import { readDiff, scaled } from '../logic/compare/diff';
import { onSide, sideTree } from '../logic/compare/sides';
import { layout } from '../logic/layout';

const node = (name: string, total: number, base_total: number, children: object[] = [], self = 0, base_self = 0) => ({ name, self, total, base_self, base_total, children });
const meta = { type: 'cpu', unit: 'nanoseconds', by: [], from: 0, until: 1_000, base: { from: 0, until: 1_000 } };

test('both sides have the nodes of the comparison, their own widths, and what the server left out of each', () => {
  // 10 of `main` on the compared side were left out, and nothing of the base.
  const raw = readDiff(JSON.stringify({ meta, tree: node('total', 100, 40, [node('main', 100, 40, [node('old', 0, 30, [], 0, 30), node('new', 60, 0, [], 60, 0), node('both', 30, 10, [], 30, 10)])]) }));
  const { decoded, sides } = scaled(raw, 'value');
  const tree = layout(decoded.columns);
  const name = (i: number): string => decoded.frames.names[tree.frame[i]];
  const drawn = (side: 'now' | 'base'): string[] => {
    const of = sideTree({ tree, sides }, side);
    return Array.from({ length: of.n }, (_, i) => `${name(i)} ${of.start[i]}+${of.sum[i]}${of.hidden[i] > 0 ? ` hidden ${of.hidden[i]}` : ''}`);
  };
  expect(drawn('now')).toEqual(['total 0+100', 'main 0+100 hidden 10', 'new 0+60', 'both 60+30', 'old 90+0']);
  expect(drawn('base')).toEqual(['total 0+40', 'main 0+40', 'new 0+0', 'both 0+10', 'old 10+30']);
  const base = sideTree({ tree, sides }, 'base');
  expect(name(onSide(base, 2))).toBe('main');
  expect(name(onSide(base, 3))).toBe('both');
});
