import { describe, expect, test } from 'vitest';
import { encode } from '../../fixture/encode.mjs';
import { decode } from '../logic/decode';
import { fold, runtimeFrames } from '../logic/fold';
import { byName, layout } from '../logic/layout';
import { hiddenStart, neighbour, nodeAt } from '../logic/nav';
import { compile, matchNames, matchesBefore, share } from '../logic/search';
import { stopsOf } from '../logic/stops';
import { sortRows, topOf } from '../logic/top';
import { nodeId } from '../logic/units';
import { ancestors, findPath, pathOf } from '../logic/zoompath';
import { SHOP, drawn, tree } from './fixtures';

const shop = tree(SHOP);
const { names } = shop.frames;
const at = (name: string, nth = 0) =>
  nodeId(Array.from({ length: shop.tree.n }, (_, i) => i).filter((i) => names[shop.tree.frame[i]] === name)[nth]);

describe('layout', () => {
  test('a total is self, hidden and the children, and children begin where their parent does', () => {
    expect(drawn(shop.tree, names)).toEqual([
      'total 60 @0',
      '  member=api 50 @0',
      '    serve 47 @0',
      '      parse 15 @0',
      '        parse 5 @0',
      '      query 28 @15',
      '    idle 2 @47',
      '  member=gc 10 @50',
      '    mark 10 @50',
      '      query 4 @50',
    ]);
  });

  test('the end of a node is the first node after its subtree', () => {
    expect(shop.tree.end[at('serve')]).toBe(at('idle'));
    expect(shop.tree.end[0]).toBe(shop.tree.n);
  });

  test('by name, siblings are sorted and every total stays', () => {
    expect(drawn(layout(byName(shop.tree, names)), names)).toEqual([
      'total 60 @0',
      '  member=api 50 @0',
      '    idle 2 @0',
      '    serve 47 @2',
      '      parse 15 @2',
      '        parse 5 @2',
      '      query 28 @17',
      '  member=gc 10 @50',
      '    mark 10 @50',
      '      query 4 @50',
    ]);
  });

  test('undrawn children lie right of the drawn ones', () => {
    expect(hiddenStart(shop.tree, at('query'))).toBe(15);
    const t = tree('total 1 +4/2\n  a 3').tree;
    expect(hiddenStart(t, nodeId(0))).toBe(3);
  });

  test('a stack as deep as the format allows neither recurses nor fails', () => {
    const deep = `total 0\n${Array.from({ length: 3000 }, (_, i) => `${'  '.repeat(i + 1)}f${i % 7} 1`).join('\n')}`;
    expect(tree(deep).tree.sum[0]).toBe(3000);
  });
});

describe('search', () => {
  const of = (text: string, root = 0) => share(shop.tree, matchNames(names, compile(text)!), root);

  test('a match inside a match is counted once', () => {
    expect(of('^parse$')).toMatchObject({ matched: 15, nodes: 2, of: 60 });
  });

  test('matches in several places add up', () => {
    expect(of('query').matched).toBe(32);
  });

  test('what is undrawn below a match is matched, elsewhere it is unknown', () => {
    expect(of('query').unknown).toBe(0);
    expect(of('parse').unknown).toBe(8);
    expect(of('member=api').unknown).toBe(0);
  });

  test('within a zoomed frame the share is of that frame', () => {
    expect(of('query', at('mark'))).toMatchObject({ matched: 4, of: 10 });
  });

  test('a text that is no regular expression is searched for as it stands, and that is said', () => {
    const query = compile('vec<(u8')!;
    expect(query.note).toMatch(/plain text/);
    expect(query.regex.test('alloc::Vec<(u8, u8)>')).toBe(true);
    expect(compile('a+b')!.note).toBeNull();
  });

  test('case matters only when a capital letter is typed, and a class is no capital letter', () => {
    expect(compile('serve')!.regex.test('Serve')).toBe(true);
    expect(compile('Serve')!.regex.test('serve')).toBe(false);
    expect(compile('\\Wserve')!.regex.test('.SERVE')).toBe(true);
  });

  test('any subtree is asked for matches in one step', () => {
    const before = matchesBefore(shop.tree, matchNames(names, compile('query')!));
    const has = (n: number) => before[shop.tree.end[n]] - before[n];
    expect(has(at('serve'))).toBe(1);
    expect(has(at('idle'))).toBe(0);
    expect(has(0)).toBe(2);
  });
});

describe('top table', () => {
  test('a function that calls itself is counted once in its total and twice in its self', () => {
    const rows = topOf(shop.tree, shop.frames);
    expect(rows.find((r) => r.name === 'parse')).toMatchObject({ self: 15, total: 15, file: 'parse.rs' });
    expect(rows.find((r) => r.name === 'query')).toMatchObject({ self: 24, total: 32 });
  });

  test('groups and the root are not functions', () => {
    expect(topOf(shop.tree, shop.frames).map((r) => r.name).sort()).toEqual(['idle', 'mark', 'parse', 'query', 'serve']);
  });

  test('within a frame only what it calls is counted', () => {
    expect(topOf(shop.tree, shop.frames, at('mark'))).toEqual([
      { name: 'query', file: 'query.rs', self: 4, total: 4 },
      { name: 'mark', file: 'mark.rs', self: 6, total: 10 },
    ]);
  });

  test('equal values are sorted by name, so that a refresh does not shuffle them', () => {
    const rows = ['b', 'a', 'c'].map((name) => ({ name, file: '', self: 1, total: 1 }));
    expect(sortRows(rows, 'self', true).map((r) => r.name)).toEqual(['a', 'b', 'c']);
    expect(sortRows(rows, 'name', true).map((r) => r.name)).toEqual(['c', 'b', 'a']);
  });
});

describe('walking', () => {
  test('arrows lead to the largest callee, the caller and the neighbours of the row', () => {
    const step = (name: string, way: Parameters<typeof neighbour>[2]) =>
      names[shop.tree.frame[neighbour(shop.tree, at(name), way)]];
    expect(step('serve', 'callee')).toBe('query');
    expect(step('serve', 'caller')).toBe('member=api');
    expect(step('serve', 'right')).toBe('idle');
    expect(step('idle', 'right')).toBe('mark');
    expect(step('mark', 'left')).toBe('idle');
    expect(step('mark', 'right')).toBe('mark');
  });

  test('a place on a row belongs to the frame that is drawn there, and beside frames to none', () => {
    const hit = (row: number, value: number) => {
      const n = nodeAt(shop.tree, row, value);
      return n === null ? null : names[shop.tree.frame[n]];
    };
    expect(hit(0, 59.9)).toBe('total');
    expect(hit(1, 50)).toBe('member=gc');
    expect(hit(3, 20)).toBe('query');
    expect(hit(3, 45)).toBeNull();
    expect(hit(4, 20)).toBeNull();
    expect(hit(9, 1)).toBeNull();
    expect(hit(0, 60)).toBeNull();
  });
});

describe('zoom path', () => {
  test('a path of names finds its frame again, in another order too', () => {
    const path = pathOf(shop.tree, names, at('query'));
    expect(path).toEqual(['member=api', 'serve', 'query']);
    expect(findPath(shop.tree, names, path)).toEqual({ node: at('query'), depth: 3 });
    const other = layout(byName(shop.tree, names));
    expect(other.sum[findPath(other, names, path).node]).toBe(28);
  });

  test('a path that is gone leads to the deepest caller that is left', () => {
    expect(findPath(shop.tree, names, ['member=api', 'serve', 'gone', 'query'])).toEqual({ node: at('serve'), depth: 2 });
  });

  test('siblings of one name are told apart by their rank, in either order', () => {
    const t = decode(encode({
      nodes: [[0, 0, 0], [1, 1, 5], [1, 2, 9], [1, 3, 7]].map(([depth, frame, self]) => ({ depth, frame, self })),
      frames: ['total', 'f', 'f', 'f'].map((name, line) => ({ name, line })),
      meta: {},
    }));
    const heavy = layout(t.columns);
    for (const one of [heavy, layout(byName(heavy, t.frames.names))]) {
      const sums = [1, 2, 3].map((n) => one.sum[findPath(one, t.frames.names, pathOf(one, t.frames.names, nodeId(n))).node]);
      expect(sums).toEqual([1, 2, 3].map((n) => one.sum[n]));
    }
    expect(heavy.sum[findPath(heavy, t.frames.names, ['f']).node]).toBe(9);
    expect(heavy.sum[findPath(heavy, t.frames.names, ['f\t2']).node]).toBe(5);
  });

  test('callers are listed from the root down', () => {
    expect(ancestors(shop.tree, at('mark')).map((n) => names[shop.tree.frame[n]])).toEqual(['total', 'member=gc', 'mark']);
  });
});

describe('the places of a search', () => {
  const stops = (text: string, t = shop, root = 0, most = 1000) =>
    [...stopsOf(t.tree, matchNames(t.frames.names, compile(text)!), root, most)].map((n) => `${t.frames.names[t.tree.frame[n]]} ${t.tree.sum[n]}`);

  test('the widest comes first, and every match is among them', () => {
    expect(stops('query|parse|mark')).toEqual(['query 28', 'parse 15', 'mark 10', 'parse 5', 'query 4']);
  });

  test('of very many the largest are kept', () => {
    const many = tree(`total 0\n${Array.from({ length: 3000 }, (_, i) => `  f${i} ${1 + (i % 700)}`).join('\n')}`);
    expect(stops('f', many, 0, 3)).toEqual(['f699 700', 'f1399 700', 'f2099 700']);
  });

  test('within a zoomed frame they are those in it', () => {
    expect(stops('query', shop, at('member=gc'))).toEqual(['query 4']);
  });

  test('a folded run is one place, however many of its frames match', () => {
    const t = tree('total 0\n  shop::a 1\n    std::a 0\n      std::b 0\n        std::c 0\n          shop::x 2\n          shop::y 2');
    const folded = { ...t, tree: fold(t.tree, t.frames, runtimeFrames(t.frames), new Set()) };
    expect(stops('std', folded)).toEqual(['std::a 4']);
    expect(stops('std', t)).toHaveLength(3);
  });
});
