import { describe, expect, test, vi } from 'vitest';
import { layout } from '../logic/layout';
import { reshape } from '../logic/merge';
import { mergeWidth } from '../logic/mergewidth';
import { sandwich } from '../logic/sandwich';
import { type Transform, describe as words, filtersOf, fromText, named, NOT_MINE, PRESETS, presetsIn, pushed, shapesOf, toText } from '../logic/transforms';
import { callersOf, hotPath, treeRows } from '../logic/treerows';
import { nameKey } from '../logic/zoompath';
import * as merges from '../worker/merges';
import { Engine, isMerge } from '../worker/engine';
import { SHOP, binary, drawn, tree } from './fixtures';

const t = tree(SHOP);
const { names, kinds } = t.frames;
const sandwichOf = (text: string, name: string) => {
  const whole = tree(text);
  const found = sandwich(whole.tree, whole.frames.names, whole.frames.kinds, (n) => n === name);
  if (found === null) return null;
  const lines = (c: typeof found.callers): string[] => drawn(layout(c), whole.frames.names);
  return { ...found, callers: lines(found.callers), callees: lines(found.callees) };
};

describe('callers and callees', () => {
  test('all call paths of a function are merged, with the exact value of each caller', () => {
    expect(sandwichOf(SHOP, 'query')).toEqual({
      name: 'query', frame: names.indexOf('query'), total: 32, self: 24, paths: 2,
      callers: ['query 32 @0', '  serve 28 @0', '    member=api 28 @0', '  mark 4 @28', '    member=gc 4 @28'],
      callees: ['query 32 @0'],
      groups: [{ name: 'member=api', value: 28 }, { name: 'member=gc', value: 4 }],
    });
  });

  test('a recursive call counts once and stays visible among the callees', () => {
    const found = sandwichOf('total 0\n  main 1\n    f 2\n      g 3\n        f 4\n          h 5\n  f 6', 'f')!;
    expect([found.total, found.self, found.paths]).toEqual([20, 12, 2]);
    expect(found.callees).toEqual(['f 20 @0', '  g 12 @0', '    f 9 @0', '      h 5 @0']);
    expect(found.callers).toEqual(['f 20 @0', '  main 14 @0']);
  });

  test('narrow callers and callees are left out, and their sum is exact', () => {
    const text = 'total 0\n  main 0\n    f 10\n      g 70\n      h 1\n      k 2\n        deep 1\n  rare 0\n    f 3';
    const whole = tree(text);
    const found = sandwich(whole.tree, whole.frames.names, whole.frames.kinds, (name) => name === 'f', 0.05)!;
    const { callers, callees } = found;
    expect([found.total, callers.total, callees.total]).toEqual([87, 87, 87]);
    expect(drawn(layout(callees), whole.frames.names)).toEqual(['f 87 @0', '  g 70 @0']);
    expect([callees.hidden[0], callees.hiddenChildren[0]]).toEqual([4, 2]);
    expect(drawn(layout(callers), whole.frames.names)).toEqual(['f 87 @0', '  main 84 @0']);
    expect([callers.hidden[0], callers.hiddenChildren[0]]).toEqual([3, 1]);
  });

  test('they are merged for the window only if the server merges them again, and never for a window without a width', () => {
    const undrawn = 8;
    const widths = [[0, 640], [0, 2_000.5], [0, 0], [undrawn, 640.5], [undrawn, 5_000], [undrawn, 0]].map(([of, pixels]) => mergeWidth({ undrawn: of }, pixels, 1_600, 3_840));
    expect(widths).toEqual([1_600, 2_001, 1_600, 641, 3_840, 3_840]);
    expect(mergeWidth({ undrawn: 0 }, 640, 5_120, 3_840)).toBe(3_840);
  });

  test('callees of several occurrences are merged at every level', () => {
    const text = 'total 0\n  a 0\n    f 0\n      g 1\n        x 5\n        y 1\n      h 2\n  b 0\n    f 0\n      h 4\n        z 1\n      g 2\n        y 3\n        x 1';
    expect(sandwichOf(text, 'f')!.callees).toEqual(['f 20 @0', '  g 13 @0', '    x 6 @0', '    y 4 @6', '  h 7 @13', '    z 1 @13']);
    expect(sandwichOf(text, 'x')!.callers).toEqual(['x 6 @0', '  g 6 @0', '    f 6 @0', '      a 5 @0', '      b 1 @5']);
  });

  test('undrawn values of callees stay undrawn', () => {
    const whole = tree(SHOP);
    const found = sandwich(whole.tree, names, kinds, (n) => n === 'serve')!;
    expect(layout(found.callees).sum[0]).toBe(47);
    expect(found.callees.hidden.reduce((a, v) => a + v, 0)).toBe(8);
  });

  test('frames of one name at several lines, few or many, are one function', () => {
    const lines = (count: number) => {
      const of = tree(`total 0\n${Array.from({ length: count }, (_, i) => `  caller${i} 1\n    f${i} 2\n      f0 4\n      g 8`).join('\n')}`);
      const { total, self, paths, callers, callees } = sandwich(of.tree, of.frames.names, of.frames.kinds, (n) => n.startsWith('f'))!;
      return [total, self, paths, callers.n, drawn(layout(callees), of.frames.names)];
    };
    for (const count of [1, 3, 12]) expect(lines(count)).toEqual([14 * count, 6 * count, count, count + 1, [`f0 ${14 * count} @0`, `  g ${8 * count} @0`, `  f0 ${4 * count} @${8 * count}`]]);
  });

  test('a function that is not in the profile, a group and the root have none', () => {
    for (const name of ['nope', 'member=api', 'total']) expect(sandwichOf(SHOP, name)).toBeNull();
  });

  test('the worker finds a function by its key, whatever the length of its name', () => {
    const engine = new Engine();
    engine.merges = merges;
    engine.answer({ kind: 'load', buffer: binary(`total 0\n  ${'x'.repeat(5_000)} 7`), as: { order: 'heavy', fold: true, open: [], shapes: ['invert'] } });
    expect(nameKey('x'.repeat(5_000)).length).toBeLessThan(10);
    expect(engine.answer({ kind: 'sandwich', key: nameKey('x'.repeat(5_000)), width: 3_840 })).toMatchObject({ total: 7, paths: 1 });
  });
});

describe('shapes', () => {
  const shaped = (text: string, shape: 'collapse' | 'packages' | 'invert'): string[] => {
    const whole = tree(text);
    return drawn(layout(reshape(whole.tree, shape, whole.frames)), whole.frames.names);
  };

  test('neighbours of one package become the first of them, and all values stay', () => {
    expect(shaped('total 0\n  member=a 0\n    tokio::run 1\n      tokio::poll 2\n        app::f 3\n          tokio::x 4\n      std::g 5\n  odd 6', 'packages')).toEqual([
      'total 21 @0', '  member=a 15 @0', '    tokio::run 15 @0', '      app::f 7 @0', '        tokio::x 4 @0', '      std::g 5 @7', '  odd 6 @15',
    ]);
  });

  test('presets hide the code of runtimes, and are offered where a profile has it', () => {
    const names = ['total', 'tokio::runtime::task::poll', '<core::pin::Pin<P> as Future>::poll', 'runtime.mallocgc', 'java/lang/Thread.run', '(garbage collector)', 'shop::cart'];
    const none = names.map(() => '');
    expect(presetsIn(names, none)).toEqual(['tokio', 'std', 'allocator', 'go', 'node', 'jvm']);
    expect(presetsIn(['shop::tokio_cart', 'futures_market'], ['', ''])).toEqual([]);
    expect(filtersOf([{ kind: 'preset', preset: 'jvm' }, named('hide', 'x')])).toEqual({ hide: `(?:^x$)|(?:${PRESETS.jvm[1]})` });
    expect([fromText('preset~go'), fromText('preset~toString'), toText({ kind: 'preset', preset: 'go' }), words({ kind: 'preset', preset: 'go' })]).toEqual([{ kind: 'preset', preset: 'go' }, null, 'preset~go', 'Without the Go runtime']);
  });

  test('collapsed recursion keeps one frame of a function in each path, and all values', () => {
    expect(shaped('total 0\n  f 1\n    f 2\n      g 3\n        f 4\n          h 5', 'collapse')).toEqual(['total 15 @0', '  f 15 @0', '    h 5 @0', '    g 3 @5']);
  });

  test('inverted, functions lead to their callers, groups stay at the root and undrawn values undrawn', () => {
    expect(shaped(SHOP, 'invert')).toEqual([
      'total 60 @0',
      '  member=api 50 @0',
      '    query 20 @0', '      serve 20 @0',
      '    parse 15 @20', '      serve 10 @20', '      parse 5 @30', '        serve 5 @30',
      '    serve 4 @35', '    idle 2 @39',
      '  member=gc 10 @50',
      '    mark 6 @50', '    query 4 @56', '      mark 4 @56',
    ]);
    const inverted = reshape(t.tree, 'invert', t.frames);
    expect(inverted.self.reduce((a, v) => a + v, 0) + inverted.hidden.reduce((a, v) => a + v, 0)).toBe(t.tree.sum[0]);
  });

  test('a million nodes are reshaped without recursion', () => {
    const deep = tree(`total 0\n${Array.from({ length: 2_000 }, (_, i) => `${'  '.repeat(i + 1)}f${i % 50} 1`).join('\n')}`);
    expect(layout(reshape(deep.tree, 'collapse', deep.frames)).sum[0]).toBe(2_000);
    expect(layout(reshape(deep.tree, 'invert', deep.frames)).sum[0]).toBe(2_000);
  });
});

describe('transforms', () => {
  const all: Transform[] = [named('focus', 'a::b<c>'), { kind: 'ignore', pattern: 'x|y' }, { kind: 'hide', pattern: '^z' }, { kind: 'mine' }, { kind: 'collapse' }];

  test('they are preserved as text', () => {
    for (const one of all) expect(fromText(toText(one))).toEqual(one);
    for (const text of ['', 'focus', 'focus~', 'drop~x']) expect(fromText(text)).toBeNull();
  });

  test('the server gets one pattern of each kind, the page its shapes', () => {
    expect(filtersOf([])).toEqual({});
    expect(filtersOf(all, 'malloc')).toEqual({ focus: '^a::b<c>$', ignore: 'x|y', hide: `(?:^z)|(?:${NOT_MINE})|(?:malloc)` });
    expect(filtersOf([{ kind: 'ignore', pattern: 'a' }, { kind: 'ignore', pattern: 'b' }])).toEqual({ ignore: '(?:a)|(?:b)' });
    expect(shapesOf(all)).toEqual(['collapse']);
  });

  test('a new focus replaces the old one, a second inversion cancels the first, and nothing is twice', () => {
    const focus = (stack: Transform[]) => pushed(stack, named('focus', 'q'));
    expect(focus(all).filter((one) => one.kind === 'focus')).toEqual([named('focus', 'q')]);
    expect(pushed(pushed([], { kind: 'invert' }), { kind: 'invert' })).toEqual([]);
    expect(pushed(all, { kind: 'mine' })).toEqual(all);
  });

  test('they are described in words', () => {
    expect(all.map(words)).toEqual(['Only stacks with a::b<c>', 'Without stacks with x|y', 'Without frames ^z', 'Only my code', 'Recursion collapsed']);
  });

  test('only my code leaves out standard libraries, dependencies and the system', () => {
    const regex = new RegExp(NOT_MINE);
    const hidden = (name: string, file: string): boolean => regex.test(name) || (file !== '' && regex.test(file));
    for (const [name, file] of [
      ['push_mut', '/rustc/5980/library/alloc/src/vec/mod.rs'], ['poll', '/root/.cargo/registry/src/index/tokio-1.5.0/src/x.rs'], ['<core::future::Ready<T>>::poll', ''],
      ['runtime.mallocgc', '/usr/local/go/src/runtime/malloc.go'], ['[kernel] write', '[kernel]'], ['start_thread', './nptl/pthread_create.c'], ['java.util.HashMap.put', ''], ['futures_util::future::join', ''], ['__rust_alloc', ''], ['f', 'app/node_modules/x/i.js'],
    ]) expect(hidden(name, file), `${name} ${file}`).toBe(true);
    for (const [name, file] of [
      ['davy_archive::ingest::push', 'archive/src/ingest.rs'], ['main.main', '/home/me/shop/main.go'], ['com.shop.Cart.add', ''],
      ['core_loop::run', 'src/core.rs'], ['<core_loop::Step>::next', ''], ['stdio_proxy::main', ''], ['alloc', ''], ['towers::build', ''], ['axumlike::serve', ''],
    ]) expect(hidden(name, file), `${name} ${file}`).toBe(false);
  });
});

describe('outline', () => {
  const rows = (expanded: number[]): string[] =>
    treeRows(t.tree, new Set(expanded)).map((r) => `${'  '.repeat(r.level - 1)}${names[t.tree.frame[r.node]]} ${r.position}/${r.siblings}${r.expanded === null ? '' : r.expanded ? ' -' : ' +'}`);
  const at = (name: string): number => Array.from(t.tree.frame).findIndex((f) => names[f] === name);

  test('only the callees of expanded frames are rows, the largest first', () => {
    expect(rows([])).toEqual(['total 1/1 +']);
    expect(rows([0, at('member=api')])).toEqual(['total 1/1 -', '  member=api 1/2 -', '    serve 1/2 +', '    idle 2/2', '  member=gc 2/2 +']);
  });

  test('expanding a frame expands the callees that hold nearly all of its value', () => {
    expect(hotPath(t.tree, at('member=api')).map((n) => names[t.tree.frame[n]])).toEqual(['member=api', 'serve']);
    expect(callersOf(t.tree, at('serve')).map((n) => names[t.tree.frame[n]])).toEqual(['member=api', 'total']);
  });
});

test('sorting by name waits for the part of the worker that sorts, and preparing changes nothing', () => {
  const as = { order: 'name' as const, fold: false, open: [] };
  const heavy = { ...as, order: 'heavy' as const };
  expect([isMerge({ kind: 'arrange', as }), isMerge({ kind: 'arrange', as: heavy })]).toEqual([true, false]);
  const clicks = (isPrepared: boolean): string => {
    const engine = new Engine();
    const prepare = vi.fn(merges.prepareSandwich);
    engine.merges = { ...merges, prepareSandwich: prepare };
    engine.answer({ kind: 'load', buffer: binary(SHOP), as: heavy });
    if (isPrepared) for (let time = 0; time < 2; time++) engine.prepare();
    expect(prepare).toHaveBeenCalledTimes(isPrepared ? 1 : 0);
    const { tree: sorted } = engine.answer({ kind: 'arrange', as }) as { tree: object };
    return JSON.stringify([sorted, engine.answer({ kind: 'sandwich', key: nameKey('query'), width: 3_840 })]);
  };
  expect(clicks(true)).toBe(clicks(false));
});
