import { describe, expect, test } from 'vitest';
import { fold, lastOfRun, runText, runtimeFrames, visibleNode } from '../logic/fold';
import { nodeAt } from '../logic/hittest';
import { byName } from '../logic/byname';
import { hiddenStart } from '../logic/layout';
import { neighbour } from '../logic/neighbours';
import { compile, matchNames, matchesBefore, share } from '../logic/search';
import { topOf } from '../logic/top';
import { nodeId } from '../logic/units';
import { pathOf } from '../logic/zoompath';
import { runLabel } from '../render/paint';
import { Plan } from '../render/plan';
import { Engine } from '../worker/engine';
import type { Loaded } from '../worker/protocol';
import { binary, tree } from './fixtures';

const drawing = `
total 0
  member=api 0
    start_thread 0
      std::thread::start 0
        tokio::run 0
          tokio::poll 0
            shop::serve 2
              core::sort 0
                core::quick 0
                  core::swap 5
              tokio::a 0
                tokio::b 0
                  std::c 0
                    shop::x 3
                    shop::y 1
  member=gc 0
    start_thread 0
      shop::mark 4
`;
const whole = tree(drawing);
const { frames } = whole;
const runtime = runtimeFrames(frames);
const folded = (open: number[] = [], of = whole.tree) => fold(of, frames, runtime, new Set(open));
const name = (t: typeof whole.tree, i: number): string => frames.names[t.frame[i]];
/** The visible rows; `[n]` is a folded run of n frames. */
const rows = (t: typeof whole.tree, of = frames): string[] =>
  Array.from({ length: t.n }, (_, i) => i).filter((i) => t.span[i] > 0)
    .map((i) => `${'  '.repeat(t.row[i])}${t.span[i] > 1 ? `[${t.span[i]}]` : of.names[t.frame[i]]} ${t.sum[i]} @${t.start[i]}`);

describe('fold', () => {
  const t = folded();
  const head = 2;

  test('an unbranching run of runtime frames takes one row, and rows below move up', () => {
    expect(rows(t)).toEqual([
      'total 15 @0',
      '  member=api 11 @0',
      '    [4] 11 @0',
      '      shop::serve 11 @0',
      '        core::sort 5 @0',
      '          core::quick 5 @0',
      '            core::swap 5 @0',
      '        [3] 4 @5',
      '          shop::x 3 @5',
      '          shop::y 1 @8',
      '  member=gc 4 @11',
      '    start_thread 4 @11',
      '      shop::mark 4 @11',
    ]);
    expect(t.maxRow).toBe(6);
  });

  test('a frame with a self value is never folded', () => {
    for (let i = 0; i < t.n; i++) if (t.span[i] === 0 || t.span[i] > 1) expect(t.self[i]).toBe(0);
  });

  test('folding changes no total, self value or table row', () => {
    expect(t.sum).toEqual(whole.tree.sum);
    expect(t.self).toEqual(whole.tree.self);
    expect(t.start).toEqual(whole.tree.start);
    expect(topOf(t, frames)).toEqual(topOf(whole.tree, frames));
  });

  test('an unfolded run shows all its rows and can be folded again', () => {
    const open = folded([head]);
    expect(rows(open).slice(2, 7).map((l) => l.trim().split(' ')[0])).toEqual([
      'start_thread', 'std::thread::start', 'tokio::run', 'tokio::poll', 'shop::serve',
    ]);
    expect(open.run[head]).toBe(4);
    expect(open.row[6]).toBe(6);
  });

  test('runs fold the same way when sorted by name', () => {
    const other = folded([], byName(whole.tree, frames.names));
    expect(rows(other).map((l) => l.replace(/ @.*/, '')).sort()).toEqual(rows(t).map((l) => l.replace(/ @.*/, '')).sort());
  });

  test('undrawn children of a run are hatched below its row', () => {
    const cut = tree('total 0\n  shop::a 1\n    std::a 0\n      std::b 0\n        std::c 0 +4/2\n');
    const f = fold(cut.tree, cut.frames, runtimeFrames(cut.frames), new Set());
    expect(rows(f, cut.frames)).toEqual(['total 5 @0', '  shop::a 5 @0', '    [3] 4 @0']);
    expect(lastOfRun(f, 2)).toBe(4);
    const p = new Plan();
    p.build(f, new Uint8Array(f.n), null, { from: 0, until: 5, firstRow: 0, lastRow: 9, width: 500 });
    expect([p.hatched.length, p.hatched.row[0], p.hatched.w[0], hiddenStart(f, nodeId(4))]).toEqual([1, 3, 400, 0]);
  });

  test('the chain that the whole profile shares is folded except for its last frames', () => {
    const one = (text: string) => {
      const x = tree(text);
      return rows(fold(x.tree, x.frames, runtimeFrames(x.frames), new Set()), x.frames).map((l) => l.trim().split(' ')[0]);
    };
    const chain = (n: number) => Array.from({ length: n }, (_, i) => `${'  '.repeat(i + 1)}Py_${i} 0`).join('\n');
    expect(one(`total 0\n${chain(9)}\n${'  '.repeat(10)}x 1\n${'  '.repeat(10)}y 1`)).toEqual(['total', '[6]', 'Py_6', 'Py_7', 'Py_8', 'x', 'y']);
    expect(one(`total 0\n${chain(4)}\n${'  '.repeat(5)}x 1\n${'  '.repeat(5)}y 1`)).toEqual(['total', 'Py_0', 'Py_1', 'Py_2', 'Py_3', 'x', 'y']);
    // With several members there is no shared chain, and their own code is not folded.
    expect(one(`total 0\n  member=a 0\n${chain(9).replaceAll(/^/gm, '  ')} \n  member=b 1`.replaceAll(' \n', '\n').replace('Py_8 0', 'Py_8 3'))).toHaveLength(12);
  });

  test('a run is labelled with its packages, and with its first frame if a function calls it', () => {
    expect(runText(t, frames, head)).toBe('4 frames (tokio, libc, std)');
    expect(runLabel(t, frames, head, 60, null)).toBe('▸ 4 frames (tokio, libc, std)');
    expect(runLabel(t, frames, head, 12, null)).toBe('▸ 4 frames');
    const called = Array.from(t.span).indexOf(3);
    expect(runLabel(t, frames, called, 60, null)).toBe('▸ tokio::a  3 frames (tokio, std)');
    expect(runLabel(t, frames, called, 12, null)).toBe('▸ tokio::a');
    expect(runLabel(folded([head]), frames, head, 60, null)).toBe('▾ start_thread  4 frames');
  });
});

describe('folded tree', () => {
  const t = folded();
  const hit = matchNames(frames.names, compile('tokio::(run|poll)')!);
  const before = matchesBefore(t, hit);

  test('a match within a run marks the run and is counted in its label', () => {
    const p = new Plan();
    p.build(t, new Uint8Array(t.n), { hit, before }, { from: 0, until: 15, firstRow: 0, lastRow: 9, width: 150 });
    expect(Array.from({ length: p.marks.length }, (_, i) => [p.marks.node[i], p.marks.row[i], p.marks.w[i]])).toEqual([[2, 2, 110]]);
    expect(share(t, hit, before)).toEqual(share(whole.tree, hit, matchesBefore(whole.tree, hit)));
    expect(runLabel(t, frames, 2, 60, { hit, before })).toBe('▸ 4 frames (tokio, libc, std), 2 matches');
  });

  test('arrow keys treat a run as one row, and so do clicks', () => {
    const step = (from: number, direction: Parameters<typeof neighbour>[2]) => neighbour(t, nodeId(from), direction);
    expect(step(1, 'callee')).toBe(2);
    expect(name(t, step(2, 'callee'))).toBe('shop::serve');
    expect(step(6, 'caller')).toBe(2);
    expect(name(t, step(2, 'right'))).toBe('start_thread');
    expect(step(step(2, 'right'), 'left')).toBe(2);
    expect(nodeAt(t, 2, 3)).toBe(2);
    expect(name(t, nodeAt(t, 3, 3)!)).toBe('shop::serve');
    expect(visibleNode(t, 4)).toBe(2);
  });

  test('the engine folds runs except those at the open paths', () => {
    const engine = new Engine();
    const as = { order: 'heavy' as const, fold: true, open: [] as string[][] };
    const first = engine.answer({ kind: 'load', buffer: binary(drawing), as }) as Loaded;
    expect(first.tree.span[2]).toBe(4);
    const path = pathOf(first.tree, first.frames.names, nodeId(2));
    const second = engine.answer({ kind: 'arrange', as: { ...as, open: [path, ['gone']] } }) as Loaded;
    expect(second.tree.span[2]).toBe(1);
    const third = engine.answer({ kind: 'arrange', as: { ...as, fold: false } }) as Loaded;
    expect([...third.tree.row]).toEqual([...third.tree.depth]);
  });
});
