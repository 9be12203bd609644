// Files that other tools wrote: their totals are those that the server's importer reads from the same files.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openProfile } from '../logic/files/open';
import { Stacks } from '../logic/files/profile';
import { layout } from '../logic/layout';
import { offsetsOf } from '../logic/subsecond';
import { drawn } from './fixtures';

const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;

function recording(name: string): ArrayBuffer {
  const file = readFileSync(new URL(`../../../profiler/import/tests/data/${name}`, import.meta.url));
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer;
}

async function open(buffer: ArrayBuffer) {
  const file = await openProfile(buffer);
  const trees = file.kinds.map((kind, i) => {
    const stacks = new Stacks();
    file.write(i, stacks);
    const { columns, frames } = stacks.decoded(kind);
    return { label: kind.label, unit: kind.unit, tree: layout(columns), names: frames.names };
  });
  return { format: file.format, trees, totals: trees.map(({ label, unit, tree }) => `${label}:${unit} ${tree.sum[0]}`) };
}

/** Whether a tree has a path that ends with these frames. */
function hasPath({ tree, names }: { tree: ReturnType<typeof layout>; names: string[] }, ...frames: string[]): boolean {
  for (let i = 1; i < tree.n; i++) {
    let at = i;
    if (frames.toReversed().every((name) => (names[tree.frame[at]] === name ? ((at = tree.parent[at]), true) : false))) return true;
  }
  return false;
}

describe('recordings', () => {
  test('a recording of the JDK has the events that the JDK counts', async () => {
    const { format, totals, trees } = await open(recording('jdk.jfr.gz'));
    expect(format).toBe('JFR recording');
    expect(totals).toEqual(['CPU:nanoseconds 1450000000', 'allocations:bytes 173358576', 'monitors:nanoseconds 23047617', 'parked:nanoseconds 3124889261']);
    expect(hasPath(trees[3], 'java/util/concurrent/locks/LockSupport.parkNanos', 'jdk/internal/misc/Unsafe.park')).toBe(true);
  });

  test('CPU and wall-clock samples of async-profiler are separate', async () => {
    const { totals, trees } = await open(recording('async-profiler.jfr.gz'));
    expect(totals).toEqual(['CPU:nanoseconds 2030000000', 'wall clock:nanoseconds 46940000000']);
    expect(hasPath(trees[1], 'java/lang/Object.wait', 'libc.so.6.__futex_abstimed_wait_common')).toBe(true);
  });

  test('a recording of a Java agent has CPU time and allocations', async () => {
    const { totals, trees } = await open(recording('agent.jfr.gz'));
    expect(totals).toEqual(['CPU:nanoseconds 1470000000', 'allocations in TLABs:bytes 242638816']);
    expect(hasPath(trees[0], 'Labelled.fib', 'Labelled.fib')).toBe(true);
  });

  test('the samples of a recording have the times of its clock', async () => {
    const file = await openProfile(recording('async-profiler.jfr.gz'));
    const stacks = new Stacks();
    file.write(1, stacks);
    const { second, columns, cells } = offsetsOf(stacks.times, stacks.values)!;
    expect(new Date(second * 1000).getUTCFullYear()).toBeGreaterThanOrEqual(2024);
    expect(columns).toBeLessThan(120);
    expect(cells.reduce((a, b) => a + b, 0)).toBe(46_940_000_000);
  });

  test('damage of a recording never does worse than an error', async () => {
    const good = new Uint8Array(await new Response(new Blob([recording('async-profiler.jfr.gz')]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
    for (let seed = 1; seed < 30; seed++) {
      const bad = good.slice();
      // The header, the metadata and the constants decide how everything else is read.
      for (let i = 0; i < 3; i++) bad[(seed * 7919 + i * 104_729) % bad.length] = (seed * 31 + i) % 256;
      await open(bad.buffer).then(({ trees }) => expect(trees.length).toBeGreaterThan(0), (e: Error) => expect(`${seed} ${e.name}`).toBe(`${seed} FileError`));
    }
    await expect(open(good.slice(0, 5_000).buffer)).rejects.toThrow(/cut off/);
  }, 20_000);

  test('the output of perf script has the time of its clock and the command as its first frame', async () => {
    const { format, totals, trees } = await open(recording('perf-script.txt'));
    expect([format, totals]).toEqual(['perf script', ['cpu-clock:nanoseconds 65000000']]);
    expect(hasPath(trees[0], 'busy', '__libc_start_call_main', 'main', 'fib')).toBe(true);
  });

  test('events of perf without a period, with CPUs, one-line frames and unknown symbols', async () => {
    const { totals, trees } = await open(bytes('# comment\nmy app 1/2 [003] 1.5: 7 cycles:u:  ff f+0x1 (/bin/a (deleted))\n\nswapper 0 2.5: cycles:u:\n\t10 [unknown] (/lib/x.so)\n\t11 [unknown] ([unknown])\n'));
    expect(totals).toEqual(['cycles:u:count 8']);
    expect(drawn(trees[0].tree, trees[0].names)).toEqual(['total 8 @0', '  my app 7 @0', '    f 7 @0', '  swapper 1 @7', '    0x11 1 @7', '      0x10 (x.so) 1 @7']);
  });

  test('Firefox profiles with tables of each thread, shared by all, or as Gecko dumps them', async () => {
    const stackTable = { prefix: [null, 0], frame: [0, 1], length: 2 };
    const tables = { stackTable, frameTable: { func: [0, 1], line: [null, 7] }, funcTable: { name: [0, 1], fileName: [null, 2] } };
    const samples = { stack: [1, 0, null, 1], time: [1, 2, 3, 4], length: 4, weight: null, weightType: 'samples' };
    const stringArray = ['main', 'work', 'work.js'];
    const own = await open(bytes(JSON.stringify({ meta: { interval: 2 }, threads: [{ name: 'GeckoMain', samples, stringArray, ...tables }, { name: 'idle', samples: { stack: [null] }, stringArray, ...tables }] })));
    expect([own.format, own.totals]).toEqual(['Firefox profile', ['GeckoMain:milliseconds 6']]);
    expect(drawn(own.trees[0].tree, own.trees[0].names)).toEqual(['total 6 @0', '  main 6 @0', '    work 4 @0']);
    const thread = { name: 'a', samples };
    const shared = await open(bytes(JSON.stringify({ meta: { interval: 2 }, shared: { stringArray, ...tables }, threads: [thread, { ...thread, name: 'b', samples: { ...samples, weight: [10, 1, 1, -5], weightType: 'bytes' } }] })));
    expect(shared.totals).toEqual(['a:milliseconds 6', 'b:bytes 16']);
    const gecko = await open(bytes(JSON.stringify({
      meta: { interval: 1 }, threads: [],
      processes: [{ meta: {}, threads: [{
        name: 'Content', stringTable: ['(root)', 'paint (ui.js:3)'],
        samples: { schema: { stack: 0, time: 1 }, data: [[1, 5], [1, 6]] },
        stackTable: { schema: { prefix: 0, frame: 1 }, data: [[null, 0], [0, 1]] },
        frameTable: { schema: { location: 0 }, data: [[0], [1]] },
      }] }],
    })));
    expect(drawn(gecko.trees[0].tree, gecko.trees[0].names)).toEqual(['total 2 @0', '  (root) 2 @0', '    paint (ui.js:3) 2 @0']);
  });

  test('flame graphs as SVG, in both directions, exact and in pixels', async () => {
    const box = (name: string, value: string, y: number, x: number, width: number, exact = '') =>
      `<g><title>${name} (${value}, 1.0%)</title><rect x="${x}" y="${y}" width="${width}" height="15" fill="rgb(1,2,3)" ${exact}/><text x="1" y="2"></text></g>`;
    const exact = (x: number, w: number) => `fg:x="${x}" fg:w="${w}"`;
    const up = await open(bytes(`<?xml version="1.0"?><svg>${[
      box('all', '1,000 samples', 100, 0, 100, exact(0, 1000)), box('main &lt;a&gt; (x)', '900 samples', 84, 0, 90, exact(0, 900)),
      box('f', '300 samples', 68, 0, 30, exact(0, 300)), box('f', '200 samples', 68, 60, 20, exact(600, 200)), box('gc', '100 samples', 84, 90, 10, exact(900, 100)),
    ].join('\n')}</svg>`));
    expect([up.format, up.totals]).toEqual(['flame graph as SVG', ['flame graph:count 1000']]);
    expect(drawn(up.trees[0].tree, up.trees[0].names)).toEqual(['total 1000 @0', '  main <a> (x) 900 @0', '    f 500 @0', '  gc 100 @900']);
    const down = await open(bytes(`<svg>${[box('all', '50 ms', 10, 10, 1180), box('a', '20 ms', 26, 10, 472), box('b', '10 ms', 26, 482, 236), box('c', '10 ms', 42, 482.1, 236)].join('')}</svg>`));
    expect(down.totals).toEqual(['flame graph:milliseconds 50']);
    expect(drawn(down.trees[0].tree, down.trees[0].names)).toEqual(['total 50 @0', '  a 20 @0', '  b 10 @20', '    c 10 @20']);
    await expect(open(bytes('<svg><rect width="3"/></svg>'))).rejects.toThrow(/no boxes of a flame graph/);
  });
});
