// Seconds by the offset within the second, and the part of a file within a time.

import { describe, expect, test } from 'vitest';
import { perfScript } from '../../fixture/perf.mjs';
import { openProfile } from '../logic/files/open';
import { Stacks } from '../logic/files/profile';
import { COLUMNS_MAX, type Offsets, ROWS, isWithin, movedCell, offsetsOf, spanOf } from '../logic/subsecond';
import * as merges from '../worker/merges';
import { Engine } from '../worker/engine';
import type { Arrangement } from '../worker/protocol';

const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;
const as: Arrangement = { order: 'heavy', fold: false, open: [] };

/** The cells with values, as `second row value`. */
const filled = ({ cells, rows }: Offsets): string[] => [...cells].flatMap((value, i) => (value > 0 ? [`${Math.floor(i / rows)} ${i % rows} ${value}`] : []));

describe('offsets', () => {
  test('values are added up by second and by 20 ms within it, on the clock of the file', () => {
    const map = offsetsOf([1000.98, 1001, 1001.06, 1001.0799, 1002.999], [1, 2, 4, 8, 16])!;
    expect([map.second, map.columns, map.rows]).toEqual([1000, 3, 50]);
    expect(filled(map)).toEqual(['0 49 1', '1 0 2', '1 3 12', '2 49 16']);
  });

  test('a cell holds exactly what is within its span, at the resolution of seconds since 1970', () => {
    const times = Array.from({ length: 500 }, (_, i) => 1_796_000_000 + i / 100);
    const map = offsetsOf(times, times.map(() => 1))!;
    for (let cell = 0; cell < 5 * ROWS; cell++) expect(times.filter((time) => isWithin(time, spanOf(map, cell, cell))).length, `cell ${cell}`).toBe(map.cells[cell]);
    expect(map.cells.every((value) => value === 2)).toBe(true);
  });

  test('files without times, with one time and of more than an hour have no map', () => {
    expect(offsetsOf([], [])).toBeNull();
    expect(offsetsOf([5, 5], [1, 1])).toBeNull();
    expect(offsetsOf([0, COLUMNS_MAX + 1], [1, 1])).toBeNull();
  });

  test('the selection moves within the second and to other seconds, and stays in the map', () => {
    const map = offsetsOf([0, 2.5], [1, 1])!;
    expect(movedCell(map, 10, 0, 1)).toBe(11);
    expect(movedCell(map, 10, 1, 0)).toBe(60);
    expect(movedCell(map, 10, -1, -20)).toBe(0);
    expect(movedCell(map, 149, 9, 9)).toBe(149);
  });
});

describe('parts of a file', () => {
  test('a part of the output of perf script has only the stacks of that time', async () => {
    const engine = new Engine();
    engine.merges = merges;
    const whole = await engine.open({ kind: 'open', buffer: bytes(perfScript(6)), as });
    const map = whole.offsets!;
    expect([map.second, map.columns]).toEqual([1000, 6]);
    expect(map.cells.reduce((a, b) => a + b, 0)).toBe(whole.loaded.tree.sum[0]);
    // 300 to 360 ms of the third second.
    const part = await engine.open({ kind: 'choose', index: 0, part: spanOf(map, 2 * ROWS + 15, 2 * ROWS + 17), as });
    const { tree, frames } = part.loaded;
    expect([...tree.frame].map((f) => frames.names[f])).toEqual(['total', 'shop', 'main', 'collect']);
    expect(tree.sum[0]).toBe(12 * 5_000_000);
    expect(part.offsets).toEqual(map);
  });

  test.each([
    ['speedscope', JSON.stringify({ shared: { frames: [{ name: 'a' }, { name: 'b' }] }, profiles: [{ type: 'sampled', unit: 'seconds', startValue: 7, samples: [[0], [1]], weights: [1.5, 0.25] }] }), [7, 8.5]],
    ['speedscope with events', JSON.stringify({ shared: { frames: [{ name: 'a' }] }, profiles: [{ type: 'evented', unit: 'milliseconds', events: [{ type: 'O', frame: 0, at: 500 }, { type: 'C', frame: 0, at: 700 }] }] }), [0.5]],
    ['a count per frame', JSON.stringify({ shared: { frames: [{ name: 'a' }] }, profiles: [{ type: 'sampled', unit: 'none', samples: [[0]], weights: [3] }] }), []],
    ['.cpuprofile', JSON.stringify({ startTime: 2_000_000, nodes: [{ id: 1, callFrame: { functionName: 'f', url: '', lineNumber: 0 } }], samples: [1, 1], timeDeltas: [100_000, 400_000, 5_000] }), [2.1, 2.5]],
    ['Firefox profile', JSON.stringify({ meta: { interval: 1 }, threads: [{ name: 't', stringArray: ['f'], samples: { stack: [0, 0], time: [1500, 1501] }, stackTable: { prefix: [null], frame: [0] }, frameTable: { func: [0] }, funcTable: { name: [0] } }] }), [1.5, 1.501]],
    ['folded stacks', 'a;b 3\n', []],
  ])('the times of %s are seconds of its clock', async (_, text, times) => {
    const stacks = new Stacks();
    (await openProfile(bytes(text))).write(0, stacks);
    expect(stacks.times.map((time) => Number(time.toFixed(6)))).toEqual(times);
  });
});
