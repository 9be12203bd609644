import { describe, expect, test } from 'vitest';
import { encode } from '../../fixture/encode.mjs';
import { decode } from '../logic/decode';
import { fold, runtimeFrames } from '../logic/fold';
import { nodeAt } from '../logic/hittest';
import { byName } from '../logic/byname';
import { hiddenStart, layout } from '../logic/layout';
import { matchList } from '../logic/matchlist';
import { neighbour } from '../logic/neighbours';
import { compile, matchNames, matchesBefore, share } from '../logic/search';
import { allocatorFrames } from '../logic/allocator';
import { sortRows, topOf } from '../logic/top';
import { nodeId } from '../logic/units';
import { ancestors, findPath, findShort, isShort, pathOf, shortPath } from '../logic/zoompath';
import { SHOP, drawn, tree } from './fixtures';

const shop = tree(SHOP);
const { names } = shop.frames;
const at = (name: string, nth = 0) =>
  nodeId(Array.from({ length: shop.tree.n }, (_, i) => i).filter((i) => names[shop.tree.frame[i]] === name)[nth]);

describe('layout', () => {
  test('a total is self, hidden and children, and the first child starts at its parent', () => {
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

  test('sorting by name reorders siblings and keeps every total', () => {
    // It is laid out while it is sorted.
    const sorted = byName(shop.tree, names);
    expect(layout(sorted)).toEqual(sorted);
    expect(drawn(byName(shop.tree, names), names)).toEqual([
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

  test('undrawn children are placed right of the drawn ones', () => {
    expect(hiddenStart(shop.tree, at('query'))).toBe(15);
    const t = tree('total 1 +4/2\n  a 3').tree;
    expect(hiddenStart(t, nodeId(0))).toBe(3);
  });

  test('very deep stacks are laid out without recursion', () => {
    const deep = `total 0\n${Array.from({ length: 3000 }, (_, i) => `${'  '.repeat(i + 1)}f${i % 7} 1`).join('\n')}`;
    expect(tree(deep).tree.sum[0]).toBe(3000);
  });
});

describe('search', () => {
  const of = (text: string, root = 0) => {
    const hit = matchNames(names, compile(text)!);
    return share(shop.tree, hit, matchesBefore(shop.tree, hit), root);
  };

  test('a match inside another match is counted once', () => {
    expect(of('^parse$')).toMatchObject({ matched: 15, nodes: 2, of: 60 });
  });

  test('matches in different subtrees add up', () => {
    expect(of('query').matched).toBe(32);
  });

  test('undrawn frames are matched below a match and unknown elsewhere', () => {
    expect(of('query').unknown).toBe(0);
    expect(of('parse').unknown).toBe(8);
    expect(of('member=api').unknown).toBe(0);
  });

  test('the share within a zoomed frame is relative to that frame', () => {
    expect(of('query', at('mark'))).toMatchObject({ matched: 4, of: 10 });
  });

  test('an invalid regular expression is searched for as plain text, with a note', () => {
    const query = compile('vec<(u8')!;
    expect(query.note).toMatch(/plain text/);
    expect(query.regex.test('alloc::Vec<(u8, u8)>')).toBe(true);
    expect(compile('a+b')!.note).toBeNull();
  });

  test('search is case-sensitive only with a capital letter outside of a class', () => {
    expect(compile('serve')!.regex.test('Serve')).toBe(true);
    expect(compile('Serve')!.regex.test('serve')).toBe(false);
    expect(compile('\\Wserve')!.regex.test('.SERVE')).toBe(true);
  });

  test('prefix counts give the matches of any subtree', () => {
    const before = matchesBefore(shop.tree, matchNames(names, compile('query')!));
    const has = (n: number) => before[shop.tree.end[n]] - before[n];
    expect(has(at('serve'))).toBe(1);
    expect(has(at('idle'))).toBe(0);
    expect(has(0)).toBe(2);
  });
});

describe('top table', () => {
  test('a recursive function is counted once in its total and by every frame in its self value', () => {
    const rows = topOf(shop.tree, shop.frames);
    expect(rows.find((r) => r.name === 'parse')).toMatchObject({ self: 15, total: 15, file: 'parse.rs' });
    expect(rows.find((r) => r.name === 'query')).toMatchObject({ self: 24, total: 32 });
  });

  test('groups and the root are not functions', () => {
    expect(topOf(shop.tree, shop.frames).map((r) => r.name).sort()).toEqual(['idle', 'mark', 'parse', 'query', 'serve']);
  });

  test('the table of a frame covers only its subtree', () => {
    expect(topOf(shop.tree, shop.frames, at('mark'))).toEqual([
      { name: 'query', file: 'query.rs', self: 4, total: 4 },
      { name: 'mark', file: 'mark.rs', self: 6, total: 10 },
    ]);
  });

  test('the self values of allocator frames count for the nearest caller that is none', () => {
    const t = tree('total 0\n  main 1\n    alloc::vec::Vec<T>::push 2\n      alloc::raw_vec::RawVecInner<A>::grow_amortized 4\n        __rust_realloc 8\n    parse 16\n      malloc 32');
    const rows = (attributed: Uint8Array | null) => topOf(t.tree, t.frames, 0, attributed).map(({ name, self, total }) => [name, self, total]);
    expect(rows(allocatorFrames(t.frames))).toEqual([['main', 15, 63], ['parse', 48, 48]]);
    expect(rows(null).find(([name]) => name === 'malloc')).toEqual(['malloc', 32, 32]);
  });

  test('allocator frames are recognised by name and by file, in Rust, Go, C and C++', () => {
    const check = (name: string, file = ''): boolean => allocatorFrames({ names: [name], files: [file] })[0] === 1;
    for (const name of ['__rust_alloc', 'malloc', '__libc_malloc', '_rjem_malloc', 'operator new(unsigned long)', 'runtime.mallocgcSmallNoscan', 'runtime.growslice', '<alloc::raw_vec::RawVecInner>::try_allocate_in', 'hashbrown::raw::RawTableInner::new_uninitialized']) expect(check(name), name).toBe(true);
    expect(check('alloc', '/rustc/5980/library/alloc/src/alloc.rs')).toBe(true);
    for (const name of ['main', 'allocate_job', 'mallocator::Pool', 'app::alloc::plan', 'davy_archive::Vector::push', 'runtime.gcBgMarkWorker']) expect(check(name), name).toBe(false);
  });

  test('equal values are sorted by name, so that their order is stable', () => {
    const rows = ['b', 'a', 'c'].map((name) => ({ name, file: '', self: 1, total: 1 }));
    expect(sortRows(rows, 'self', true).map((r) => r.name)).toEqual(['a', 'b', 'c']);
    expect(sortRows(rows, 'name', true).map((r) => r.name)).toEqual(['c', 'b', 'a']);
  });
});

describe('navigation', () => {
  test('arrow keys lead to the largest callee, the caller and the neighbours in the row', () => {
    const step = (name: string, direction: Parameters<typeof neighbour>[2]) =>
      names[shop.tree.frame[neighbour(shop.tree, at(name), direction)]];
    expect(step('serve', 'callee')).toBe('query');
    expect(step('serve', 'caller')).toBe('member=api');
    expect(step('serve', 'right')).toBe('idle');
    expect(step('idle', 'right')).toBe('mark');
    expect(step('mark', 'left')).toBe('idle');
    expect(step('mark', 'right')).toBe('mark');
  });

  test('a point belongs to the frame drawn there, and to none outside of frames', () => {
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
  test('a path of names finds its frame in either order', () => {
    const path = pathOf(shop.tree, names, at('query'));
    expect(path).toEqual(['member=api', 'serve', 'query']);
    expect(findPath(shop.tree, names, path)).toEqual({ node: at('query'), depth: 3 });
    const other = byName(shop.tree, names);
    expect(other.sum[findPath(other, names, path).node]).toBe(28);
  });

  test('a path in short form finds the same frame, deep ones by a hash of the whole path', () => {
    expect(findShort(shop.tree, names, shortPath(['member=api', 'serve', 'query']))).toEqual({ node: at('query'), depth: 3 });
    expect(findShort(shop.tree, names, shortPath(['member=api', 'serve', 'gone', 'query']))).toEqual({ node: at('serve'), depth: 2 });
    const deep = tree(`total 0\n${Array.from({ length: 900 }, (_, i) => `${'  '.repeat(i + 1)}f${i % 40} 1`).join('\n')}`);
    const path = pathOf(deep.tree, deep.frames.names, nodeId(777));
    expect(shortPath(path)).toHaveLength(1);
    expect(shortPath(path).every(isShort)).toBe(true);
    expect(findShort(deep.tree, deep.frames.names, shortPath(path)).node).toBe(777);
    expect(findShort(shop.tree, names, shortPath(path))).toEqual({ node: 0, depth: 0 });
  });

  test('siblings of one name keep their rank', () => {
    const t = tree('total 0\n  main 1\n    a 5\n    b 1\n    a 9');
    const path = pathOf(t.tree, t.frames.names, nodeId(2));
    expect(path).toEqual(['main', 'a\t1']);
    expect(findShort(t.tree, t.frames.names, shortPath(path)).node).toBe(2);
  });

  test('a path that no longer exists leads to its deepest existing frame', () => {
    expect(findPath(shop.tree, names, ['member=api', 'serve', 'gone', 'query'])).toEqual({ node: at('serve'), depth: 2 });
  });

  test('siblings with the same name are distinguished by their rank in either order', () => {
    const t = decode(encode({
      nodes: [[0, 0, 0], [1, 1, 5], [1, 2, 9], [1, 3, 7]].map(([depth, frame, self]) => ({ depth, frame, self })),
      frames: ['total', 'f', 'f', 'f'].map((name, line) => ({ name, line })),
      meta: {},
    }));
    const heavy = layout(t.columns);
    for (const one of [heavy, byName(heavy, t.frames.names)]) {
      const sums = [1, 2, 3].map((n) => one.sum[findPath(one, t.frames.names, pathOf(one, t.frames.names, nodeId(n))).node]);
      expect(sums).toEqual([1, 2, 3].map((n) => one.sum[n]));
    }
    expect(heavy.sum[findPath(heavy, t.frames.names, ['f']).node]).toBe(9);
    expect(heavy.sum[findPath(heavy, t.frames.names, ['f\t2']).node]).toBe(5);
  });

  test('ancestors are listed from the root down', () => {
    expect(ancestors(shop.tree, at('mark')).map((n) => names[shop.tree.frame[n]])).toEqual(['total', 'member=gc', 'mark']);
  });
});

describe('match list', () => {
  const listOf = (text: string, t: typeof shop, root: number, most: number): number[] => {
    const hit = matchNames(t.frames.names, compile(text)!);
    return [...matchList(t.tree, hit, matchesBefore(t.tree, hit), root, most)];
  };
  const matches = (text: string, t = shop, root = 0, most = 1000) =>
    listOf(text, t, root, most).map((n) => `${t.frames.names[t.tree.frame[n]]} ${t.tree.sum[n]}`);

  test('matches are listed widest first', () => {
    expect(matches('query|parse|mark')).toEqual(['query 28', 'parse 15', 'mark 10', 'parse 5', 'query 4']);
  });

  test('the widest are those that sorting all of them finds, whatever their order and depth', () => {
    const random = (i: number, below: number): number => (Math.imul(i + 1, 0x9e3779b1) >>> 12) % below;
    let depth = 0;
    const lines = Array.from({ length: 2000 }, (_, i) => {
      depth = 1 + random(3 * i, depth + 1);
      return `${'  '.repeat(depth)}${random(i + 7, 5) === 0 ? 'no' : 'f'}${i} ${random(i, 97)}`;
    });
    const many = tree(`total 0\n${lines.join('\n')}`);
    const { sum, n, frame } = many.tree;
    const sorted = Array.from({ length: n }, (_, i) => i).filter((i) => many.frames.names[frame[i]].startsWith('f')).sort((a, b) => sum[b] - sum[a] || a - b);
    for (const most of [1, 2, 7, 64, 1500, 5000]) expect(listOf('^f', many, 0, most), `${most}`).toEqual(sorted.slice(0, most));
  });

  test('only the widest are kept if there are too many', () => {
    const many = tree(`total 0\n${Array.from({ length: 3000 }, (_, i) => `  f${i} ${1 + (i % 700)}`).join('\n')}`);
    expect(matches('f', many, 0, 3)).toEqual(['f699 700', 'f1399 700', 'f2099 700']);
  });

  test('a zoomed frame limits the matches to its subtree', () => {
    expect(matches('query', shop, at('member=gc'))).toEqual(['query 4']);
  });

  test('a folded run is one match however many of its frames match', () => {
    const t = tree('total 0\n  shop::a 1\n    std::a 0\n      std::b 0\n        std::c 0\n          shop::x 2\n          shop::y 2');
    const folded = { ...t, tree: fold(t.tree, t.frames, runtimeFrames(t.frames), new Set()) };
    expect(matches('std', folded)).toEqual(['std::a 4']);
    expect(matches('std', t)).toHaveLength(3);
  });
});
