import { describe, expect, test } from 'vitest';
import { encode } from '../../fixture/encode.mjs';
import { type Decoded, decode } from '../logic/decode';
import { graft, hiddenShare, nodeAt } from '../logic/graft';
import { type Tree, layout } from '../logic/layout';

type Node = [depth: number, name: string, self: number, hidden?: number, hiddenChildren?: number];

function read(nodes: Node[]): { decoded: Decoded; tree: Tree; names: string[] } {
  const frames = [...new Set(nodes.map(([, name]) => name))].map((name) => ({ name }));
  const rows = nodes.map(([depth, name, self, hidden = 0, hiddenChildren = 0]) => ({ depth, self, hidden, hiddenChildren, frame: frames.findIndex((f) => f.name === name) }));
  const total = rows.reduce((sum, row) => sum + row.self + row.hidden, 0);
  const decoded = decode(encode({ nodes: rows, frames, meta: { type: 'cpu', unit: 'count', by: [], partial: [] }, total }));
  return { decoded, tree: layout(decoded.columns), names: decoded.frames.names };
}
const drawn = ({ columns, frames }: Decoded): string[] => {
  const { sum } = layout(columns);
  return Array.from(columns.depth, (depth, i) => `${'  '.repeat(depth)}${frames.names[columns.frame[i]]} ${sum[i]}${columns.hidden[i] > 0 ? ` (${columns.hidden[i]} hidden)` : ''}`);
};

const base = read([[0, 'total', 0], [1, 'main', 1], [2, 'parse', 2, 7, 3], [2, 'write', 5], [1, 'gc', 4]]);
const sub = read([[0, 'total', 0], [1, 'main', 0], [2, 'parse', 2], [3, 'lex', 4], [4, 'utf8', 1], [3, 'write', 2]]);

describe('level of detail', () => {
  test('a subtree takes the place of what was not drawn, and no other value changes', () => {
    const path = ['main', 'parse'];
    const [node, other] = [nodeAt(base.tree, base.names, path)!, nodeAt(sub.tree, sub.names, path)!];
    expect(hiddenShare(base.tree, node)).toBeCloseTo(7 / 9);
    const grafted = graft(base.decoded, base.tree, node, sub.decoded, sub.tree, other)!;
    expect(drawn(grafted)).toEqual(['total 19', '  main 15', '    parse 9', '      lex 5', '        utf8 1', '      write 2', '    write 5', '  gc 4']);
    expect(hiddenShare(layout(grafted.columns), node)).toBe(0);
    // `write` is the same frame in both.
    expect(grafted.frames.names.filter((name) => name === 'write')).toHaveLength(1);
  });

  test('a subtree with another total is refused: windows have arrived meanwhile', () => {
    const later = read([[0, 'total', 0], [1, 'main', 0], [2, 'parse', 10]]);
    expect(graft(base.decoded, base.tree, 2, later.decoded, later.tree, 2)).toBeNull();
  });

  test('a path that is missing or ambiguous leads to no node', () => {
    const twice = read([[0, 'total', 0], [1, 'main', 1], [1, 'main', 2]]);
    expect(nodeAt(twice.tree, twice.names, ['main'])).toBeNull();
    expect(nodeAt(base.tree, base.names, ['main', 'nothing'])).toBeNull();
    expect(nodeAt(base.tree, base.names, [])).toBe(0);
  });
});
