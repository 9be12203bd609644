import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createHash } from 'node:crypto';
import { STYLE, STYLE_HASH, toHtml, toSpeedscope } from '../logic/export';
import { openProfile } from '../logic/files/open';
import { Stacks } from '../logic/files/profile';
import { layout } from '../logic/layout';
import { filtered } from '../logic/merge';
import * as merges from '../worker/merges';
import { Engine } from '../worker/engine';
import { SHOP, drawn, tree } from './fixtures';

const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;

async function open(buffer: ArrayBuffer, kind = 0) {
  const file = await openProfile(buffer);
  const stacks = new Stacks();
  file.write(kind, stacks);
  const { columns, frames } = stacks.decoded(file.kinds[kind]);
  return { format: file.format, kinds: file.kinds, lines: drawn(layout(columns), frames.names), frames };
}

// A minimal writer of protocol buffers.
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
const number = (field: number, n: number): number[] => [...varint(field * 8), ...varint(n)];
const message = (field: number, body: number[]): number[] => [...varint(field * 8 + 2), ...varint(body.length), ...body];
const packed = (field: number, values: number[]): number[] => message(field, values.flatMap(varint));
const text = (field: number, s: string): number[] => message(field, [...new TextEncoder().encode(s)]);

/** Stacks `main;parse` (inlined in one location) and `main;0x2a`, with two values each. */
function pprof(): Uint8Array {
  const strings = ['', 'samples', 'count', 'cpu', 'nanoseconds', 'main', 'main.rs', 'parse', 'parse.rs'];
  return Uint8Array.from([
    ...message(1, [...number(1, 1), ...number(2, 2)]), ...message(1, [...number(1, 3), ...number(2, 4)]),
    ...message(2, [...packed(1, [1]), ...packed(2, [2, 2_000_000])]),
    ...message(2, [...number(1, 2), ...number(1, 3), ...packed(2, [5, 5_000_000])]),
    ...message(4, [...number(1, 1), ...message(4, [...number(1, 2), ...number(2, 7)]), ...message(4, [...number(1, 1), ...number(2, 3)])]),
    ...message(4, [...number(1, 2), ...number(3, 42)]),
    ...message(4, [...number(1, 3), ...message(4, [...number(1, 1), ...number(2, 9)])]),
    ...message(5, [...number(1, 1), ...number(2, 5), ...number(4, 6)]), ...message(5, [...number(1, 2), ...number(2, 7), ...number(4, 8)]),
    ...strings.flatMap((s) => text(6, s)),
  ]);
}

describe('local files', () => {
  test('pprof, packed or not, with inlined functions, addresses and two sample types', async () => {
    const raw = pprof().buffer as ArrayBuffer;
    const zipped = gzipSync(pprof());
    for (const buffer of [raw, zipped.buffer.slice(zipped.byteOffset, zipped.byteOffset + zipped.length) as ArrayBuffer]) {
      const { format, kinds, lines, frames } = await open(buffer, 1);
      expect([format, kinds]).toEqual(['pprof', [{ label: 'samples', unit: 'count' }, { label: 'cpu', unit: 'nanoseconds' }]]);
      expect(lines).toEqual(['total 7000000 @0', '  main 7000000 @0', '    0x2a 5000000 @0', '    parse 2000000 @5000000']);
      expect(frames.files[frames.names.indexOf('parse')]).toBe('parse.rs');
    }
  });

  test('folded stacks, with comments, spaces in names and negative values', async () => {
    const { format, lines } = await open(bytes('# comment\nmain;a b 3\nmain;a b;c 4\nmain -2\n\n'));
    expect(format).toBe('folded stacks');
    expect(lines).toEqual(['total 7 @0', '  main 7 @0', '    a b 7 @0', '      c 4 @0']);
  });

  test('speedscope, sampled and by events', async () => {
    const doc = {
      shared: { frames: [{ name: 'main' }, { name: 'f', file: 'f.js', line: 3 }] },
      profiles: [
        { type: 'sampled', name: 'one', unit: 'milliseconds', samples: [[0], [0, 1]], weights: [2, 5] },
        { type: 'evented', name: 'two', unit: 'none', events: [{ type: 'O', frame: 0, at: 10 }, { type: 'O', frame: 1, at: 12 }, { type: 'C', frame: 1, at: 15 }, { type: 'C', frame: 0, at: 16 }] },
      ],
    };
    const one = await open(bytes(JSON.stringify(doc)));
    expect(one.kinds).toEqual([{ label: 'one', unit: 'milliseconds' }, { label: 'two', unit: 'count' }]);
    expect(one.lines).toEqual(['total 7 @0', '  main 7 @0', '    f 5 @0']);
    expect((await open(bytes(JSON.stringify(doc)), 1)).lines).toEqual(['total 6 @0', '  main 6 @0', '    f 3 @0']);
  });

  test('Chrome CPU profiles, by time and by hits', async () => {
    const nodes = [
      { id: 1, callFrame: { functionName: '(root)', url: '', lineNumber: -1 }, children: [2, 3] },
      { id: 2, callFrame: { functionName: 'run', url: 'app.js', lineNumber: 9 }, hitCount: 2 },
      { id: 3, callFrame: { functionName: '', url: 'app.js', lineNumber: 20 }, hitCount: 1 },
    ];
    const timed = await open(bytes(JSON.stringify({ nodes, samples: [2, 3, 2], timeDeltas: [0, 100, 50] })));
    expect(timed.lines).toEqual(['total 150 @0', '  run 100 @0', '  (anonymous) 50 @100']);
    expect(timed.frames.lines[timed.frames.names.indexOf('run')]).toBe(10);
    expect((await open(bytes(JSON.stringify({ nodes })))).lines).toEqual(['total 3 @0', '  run 2 @0', '  (anonymous) 1 @2']);
  });

  test('a damaged or foreign file is refused in words', async () => {
    const cut = gzipSync(pprof());
    const cases: [ArrayBuffer, RegExp][] = [
      [bytes(''), /it is empty/],
      [bytes('hello world'), /line 1 does not end in a number/],
      [bytes('{"a":'), /JSON is damaged or cut off/],
      [bytes('{"a":1}'), /neither a speedscope file, nor a Chrome CPU profile, nor a Firefox/],
      [cut.buffer.slice(cut.byteOffset, cut.byteOffset + cut.length - 12) as ArrayBuffer, /gzip data is damaged or cut off/],
      [pprof().slice(0, 40).buffer as ArrayBuffer, /cut off|not a pprof profile/],
      [Uint8Array.from([1, 2, 3, 0, 255, 255]).buffer as ArrayBuffer, /pprof/],
    ];
    for (const [buffer, message] of cases) await expect(open(buffer)).rejects.toThrow(message);
  });

  test('random damage of a pprof file never does worse than an error', async () => {
    const good = pprof();
    for (let seed = 1; seed < 400; seed++) {
      const bad = good.slice();
      bad[(seed * 7919) % bad.length] = (seed * 104_729) % 256;
      await open(bad.buffer as ArrayBuffer).then(({ lines }) => expect(lines.length).toBeGreaterThan(0), (e: Error) => expect(e.name).toBe('FileError'));
    }
  });

  test('the worker opens a file, changes its profile and filters it as the server does', async () => {
    const engine = new Engine();
    engine.merges = merges;
    const as = { order: 'heavy', fold: false, open: [] } as const;
    const opened = await engine.open({ kind: 'open', buffer: pprof().buffer as ArrayBuffer, as: { ...as, open: [] } });
    expect([opened.kind, opened.loaded.tree.sum[0], opened.loaded.meta.unit]).toEqual([1, 7_000_000, 'nanoseconds']);
    const samples = await engine.open({ kind: 'choose', index: 0, part: null, as: { ...as, open: [], filters: { focus: '^parse$' } } });
    expect(samples.loaded.tree.sum[0]).toBe(2);
  });
});

describe('filters', () => {
  const t = tree(SHOP);
  const of = (patterns: Parameters<typeof filtered>[2]): string[] => drawn(layout(filtered(t.tree, t.frames, patterns)), t.frames.names);

  test('focus keeps the stacks with a match, ignore drops them', () => {
    expect(of({ focus: '^parse$' })).toEqual(['total 15 @0', '  member=api 15 @0', '    serve 15 @0', '      parse 15 @0', '        parse 5 @0']);
    expect(of({ ignore: '^serve$' })).toEqual(['total 13 @0', '  member=gc 10 @0', '    mark 10 @0', '      query 4 @0', '  member=api 3 @10', '    idle 2 @10']);
  });

  test('the value of a hidden frame counts for its caller', () => {
    expect(of({ hide: '^(serve|mark)$' })).toEqual(['total 60 @0', '  member=api 50 @0', '    query 28 @0', '    parse 15 @28', '      parse 5 @28', '    idle 2 @43', '  member=gc 10 @50', '    query 4 @50']);
  });
});

describe('exports', () => {
  test('a speedscope file is read back as the same tree', async () => {
    const t = tree('total 0\n  main 1\n    f 2\n      g 3\n    h 4\n  idle 5');
    const back = await open(bytes(toSpeedscope(t.tree, t.frames, { unit: 'nanoseconds' } as Parameters<typeof toSpeedscope>[2], 'x')));
    // Siblings are sorted by their totals when a file is read.
    expect([...back.lines].sort().map((l) => l.replace(/ @.*/, ''))).toEqual([...drawn(t.tree, t.frames.names)].sort().map((l) => l.replace(/ @.*/, '')));
  });

  test('the HTML page contains the drawing and the table, with names as text', () => {
    const policy = "default-src 'none'; script-src 'sha256-abc='; style-src 'sha256-def='; frame-ancestors 'none'";
    const html = toHtml({ svg: '<?xml version="1.0"?><svg id="s"/>', policy }, 'CPU of <x>', ['Total: 1 s'], [{ name: '<script>alert(1)</script>', file: '', self: 1, total: 2 }], 4, 'count');
    expect(html).toContain('<svg id="s"/>');
    expect(html).not.toContain('<script>alert');
    expect(html).toContain('<td>25.0%</td>');
    expect(html).toContain('CPU of &lt;x&gt;');
    expect(html).toContain(`content="default-src 'none'; script-src 'sha256-abc='; style-src 'sha256-def=' ${STYLE_HASH}; base-uri 'none'; form-action 'none'"`);
    expect(html).toContain(`<style>${STYLE}</style>`);
    expect(STYLE_HASH).toBe(`'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`);
  });

  test('an HTML page is refused without the hashes of the drawing', () => {
    for (const policy of ['', "script-src 'sha256-abc='", "style-src 'sha256-def='; script-src 'unsafe-inline'"]) {
      expect(() => toHtml({ svg: '<svg/>', policy }, 'CPU', [], [], 4, 'count')).toThrow(/no hashes of its (script|style) in the header Content-Security-Policy\. A proxy may remove/);
    }
  });
});
