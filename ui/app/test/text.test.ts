import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { problemFrom, problemText } from '../api/problem';
import { counted, formatDuration, formatRange, formatShare, formatValue } from '../logic/format';
import { formatTicks, tickSteps } from '../logic/ticks';
import { shorten, visible } from '../logic/names';
import { isRuntime, packageOf } from '../logic/packages';
import { typeLabel } from '../logic/profiletypes';
import { curlPush, davyPush } from '../logic/pushexample';
import { compile } from '../logic/search';
import { withVisibleNames } from '../logic/top';
import { layout } from '../logic/layout';
import { notDrawn, totalNote, undrawnOwn } from '../logic/totals';
import {
  type Matcher, filtersOf, forService, formatSelector, matcherFor, parseSelector, serviceOf,
} from '../logic/selector';

describe('format', () => {
  const check = (input: [number, string], expected: string): void => expect(formatValue(...input)).toBe(expected);

  test('values of every unit are scaled and named as in text output', () => {
    const table = readFileSync(new URL('../../../profiler/profile/tests/units.tsv', import.meta.url), 'utf8');
    const rows = table.split('\n').filter((row) => row !== '' && !row.startsWith('#')).map((row) => row.split('\t'));
    expect(rows.length).toBeGreaterThan(100);
    expect(rows.map(([value, unit]) => [value, unit, formatValue(Number(value), unit)])).toEqual(rows);
  });

  test('values that are not whole numbers are rounded to three digits', () => {
    check([0.25, 'nanoseconds'], '0.25 ns');
    check([0.4, 'bytes'], '0 B');
    check([-0.4, 'bytes'], '0 B');
    check([1.5, 'count'], '1.50');
    check([-0.001, 'count'], '0.00');
    check([1234.56, 'objects'], '1,235 objects');
    check([0.5, 'goroutines'], '0.50 goroutines');
    check([Number.NaN, 'bytes'], '–');
  });

  test('the ticks of an axis have one unit', () => {
    const ticks = (values: number[], unit: string, expected: string[]): void => expect(formatTicks(values, unit)).toEqual(expected);
    ticks([0, 5e8, 1e9, 1.5e9], 'nanoseconds', ['0.0 s', '0.5 s', '1.0 s', '1.5 s']);
    ticks([0, 5e8], 'nanoseconds', ['0 ms', '500 ms']);
    ticks([0, 30e9, 60e9, 90e9, 120e9], 'nanoseconds', ['0.0 min', '0.5 min', '1.0 min', '1.5 min', '2.0 min']);
    ticks([0, 20e9, 40e9, 120e9], 'nanoseconds', ['0 s', '20 s', '40 s', '120 s']);
    ticks([0, 250, 500, 750, 1000], 'ms', ['0.00 s', '0.25 s', '0.50 s', '0.75 s', '1.00 s']);
    ticks([0, 2 ** 19, 2 ** 20], 'bytes', ['0.0 MiB', '0.5 MiB', '1.0 MiB']);
    ticks([0, 512, 1024], 'KiB', ['0.0 MiB', '0.5 MiB', '1.0 MiB']);
    ticks([0, 500_000, 1_000_000], 'count', ['0.0 M', '0.5 M', '1.0 M']);
    ticks([0, 5_000, 10_000], 'count', ['0', '5,000', '10,000']);
    ticks([0, 0.5, 1], 'goroutines', ['0.0 goroutines', '0.5 goroutines', '1.0 goroutine']);
    ticks([0, 1], 'objects', ['0 objects', '1 object']);
    ticks([-1e9, 0, 1e9], 'nanoseconds', ['-1 s', '0 s', '1 s']);
    ticks([0], 'bytes', ['0 B']);
    ticks([], 'bytes', []);
  });

  test('ticks are a round number of units apart whatever the unit of the values', () => {
    expect(tickSteps('KiB').slice(9, 12)).toEqual([0.5, 1, 2]);
    expect(tickSteps('seconds')).toContain(60);
    expect(tickSteps('ms')).toContain(30_000);
    expect(tickSteps('goroutines')).toContain(20);
  });

  test('a total says how it was computed if the server does', () => {
    const note = (aggregation: 'sum' | 'average' | null, windows: number): string =>
      totalNote({ type: '', unit: '', from: 0, until: 0, selector: '', by: [], partial: [], effective: { from: 0, until: 0 }, windows, aggregation, aggregationSource: '' });
    expect(note(null, 7)).toBe('');
    expect(note('sum', 7)).toBe(' sum');
    expect(note('average', 7)).toBe(' average of 7 windows');
    expect(note('average', 1)).toBe(' average of 1 window');
    expect(note('average', 0)).toBe(' average');
  });

  test('values that no frame shows are stated', () => {
    const of = (root: number, negative: number, kind = 0): string[] =>
      notDrawn(layout({ n: 2, total: 0, self: Float64Array.of(root, 9), negative, hidden: new Float64Array(2), frame: Uint32Array.of(0, 1), hiddenChildren: new Uint32Array(2), depth: Uint16Array.of(0, 1) }), Uint8Array.of(1, kind), 'bytes');
    expect(of(0, 0)).toEqual([]);
    expect(of(1, 0, 1)).toEqual(['without a stack: 10 B']);
    expect(of(2048, 0)).toEqual(['without a stack: 2.00 KiB']);
    expect(of(1, -1024)).toEqual(['without a stack: 1 B', 'not drawn: -1.00 KiB in negative values']);
  });

  test('a small share is never shown as 0%', () => {
    expect(formatShare(0, 10)).toBe('0%');
    expect(formatShare(1, 1e9)).toBe('<0.01%');
    expect(formatShare(1, 3)).toBe('33.3%');
    expect(formatShare(10, 10)).toBe('100%');
    expect(formatShare(1, 0)).toBe('–');
  });

  test('durations have at most two units', () => {
    expect(formatDuration(90_000)).toBe('1 min 30 s');
    expect(formatDuration(3600_000)).toBe('1 h');
    expect(formatDuration(90_061_000)).toBe('1 d 1 h');
    expect(formatDuration(250)).toBe('250 ms');
  });

  test('both ends of a range carry their dates unless both are of today', () => {
    const at = (day: number, hour: number, minute = 0): number => new Date(2026, 10, day, hour, minute, 49).getTime();
    const check = (from: number, until: number, text: string): void => expect(formatRange({ from, until }, at(30, 12))).toBe(text);
    check(at(30, 9), at(30, 10), '09:00:49 – 10:00:49 (1 h)');
    check(at(27, 0, 25), at(30, 0, 25), '2026-11-27 00:25:49 – 2026-11-30 00:25:49 (3 d)');
    check(at(29, 23), at(30, 1), '2026-11-29 23:00:49 – 2026-11-30 01:00:49 (2 h)');
    check(at(28, 9), at(28, 10), '2026-11-28 09:00:49 – 2026-11-28 10:00:49 (1 h)');
  });

  test('counts have thousands separators and the right plural', () => {
    expect(counted(1, 'frame')).toBe('1 frame');
    expect(counted(20_000, 'frame')).toBe('20,000 frames');
    expect(counted(2, 'process', 'processes')).toBe('2 processes');
  });

  test('every profile type of Davy has a label, and other types are named by their id', () => {
    expect(typeLabel('memory:inuse_space:bytes:space:bytes')).toBe('Heap in use');
    expect(typeLabel('tasks:age:nanoseconds::')).toBe('Task age');
    expect(typeLabel('tasks:polls:count::')).toBe('Task polls');
    expect(typeLabel('memory:alloc_objects:count:space:bytes')).toBe('Allocations (objects)');
    expect(typeLabel('process_cpu:cpu:nanoseconds:cpu:nanoseconds')).toBe('CPU');
    expect(typeLabel('process_cpu:samples:count:cpu:nanoseconds')).toBe('CPU samples');
    expect(typeLabel('mutex:contentions:count:mutex:count')).toBe('mutex contentions');
  });
});

describe('names', () => {
  test('the package is found in frame names of every supported language', () => {
    const check = (name: string, expected: string, file = ''): void => expect(packageOf(name, file)).toBe(expected);
    check('tokio::runtime::task::harness::Harness<T,S>::poll', 'tokio');
    check('<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop', 'alloc');
    check('<&mut dyn core::fmt::Write as core::fmt::Write>::write_str', 'core');
    check('github.com/acme/shop/internal/cart.(*Service).Add', 'github.com/acme/shop/internal/cart');
    check('net/http.(*conn).serve', 'net/http');
    check('runtime.mallocgc', 'runtime');
    check('java.util.concurrent.ThreadPoolExecutor.runWorker', 'java.util.concurrent');
    check('App\\Http\\Kernel::handle', 'App');
    check('handle', 'requests', '/usr/lib/python3/site-packages/requests/api.py');
    check('main', 'serde_json', '/root/.cargo/registry/src/index/serde-json-1.0.2/src/lib.rs');
    check('memcpy', '');
  });

  test('a path that contains the package takes precedence over the name, without its version', () => {
    const check = (file: string, expected: string, name = 'poll<shop_svc::worker::{async_fn_env#0}>'): void =>
      expect(packageOf(name, file)).toBe(expected);
    const registry = '/home/ada/.cargo/registry/src/index-1949cf8c6b5b557f';
    check('/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panic/unwind_safe.rs', 'core', 'call_once<(), x::Y>');
    check('/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panic.rs', 'std', 'catch_unwind<core::X>');
    check('/rust/library/alloc/src/boxed.rs', 'alloc');
    check(`${registry}/tokio-1.54.1/src/runtime/task/raw.rs`, 'tokio');
    check(`${registry}/zstd-sys-2.1.2+zstd.1.5.7/zstd/lib/compress/zstd_compress.c`, 'zstd_sys', 'ZSTD_initCCtx');
    check('/rust/deps/hashbrown-0.16.1/src/raw/mod.rs', 'hashbrown');
    check('/x/target/release/build/tikv-jemalloc-sys-ddb2d3d9d6505e78/out/build/src/jemalloc.c', 'tikv_jemalloc_sys', 'imalloc');
    check('./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S', 'libc', '__GI___clone3');
    check('./nptl/pthread_create.c', 'libc', 'start_thread');
    check('/home/ada/shop/src/cart/add.rs', 'shop', 'cart/add.rs::{closure#0}<tokio::x>');
    check('/home/ada/shop/src/cart/add.rs', 'shop_svc', 'shop_svc::cart::add');
  });

  test('runtime frames are distinguished from the program', () => {
    expect(isRuntime('run_worker', '/c/registry/src/i/tokio-1.54.1/src/runtime/blocking/pool.rs')).toBe(true);
    expect(isRuntime('std::sys::backtrace::__rust_begin_short_backtrace', '')).toBe(true);
    expect(isRuntime('__libc_start_main_impl', '')).toBe(true);
    expect(isRuntime('__rust_try', '')).toBe(true);
    expect(isRuntime('main', '')).toBe(true);
    expect(isRuntime('main', '/home/ada/shop/main.c')).toBe(false);
    expect(isRuntime('tokio_postgres::query', '')).toBe(false);
    expect(isRuntime('poll<tokio::X>', '/home/ada/shop/src/main.rs')).toBe(false);
  });

  test('a name that does not fit loses its leading segments first', () => {
    const name = 'davy_archive::ingest::Service<store::File>::flush';
    expect(shorten(name, 60)).toBe(name);
    expect(shorten(name, 45)).toBe('…ingest::Service<store::File>::flush');
    expect(shorten(name, 10)).toBe('…flush');
    expect(shorten(name, 5)).toBe('flus…');
    expect(shorten(name, 1)).toBe('');
    expect(shorten('github.com/acme/cart.(*Service).Add', 20)).toBe('…cart.(*Service).Add');
  });
});

test('the share of own code is exact, or it is said how much larger it can be', () => {
  expect(undrawnOwn({ undrawn: 0, sum: Float64Array.of(80) })).toBe('');
  expect(undrawnOwn({ undrawn: 10, sum: Float64Array.of(80) })).toMatch(/^Frames with 12\.5% of the whole are not drawn/);
});

describe('visible names', () => {
  test('table and flame graph show the same visible names, and a search for one matches', () => {
    const row = (name: string) => ({ name, file: 'x\r.c', self: 1, total: 1 });
    const answer = withVisibleNames({ type: '', unit: '', total: 2, partial: [], functions: [row(''), row('a\u001b[2J;b')] });
    expect(answer.functions.map((f) => [f.name, f.file])).toEqual([['(no name)', 'x\\x0d.c'], ['a\\x1b[2J;b', 'x\\x0d.c']]);
    expect(compile('\\\\x1b')!.regex.test(visible('a\u001b[2J'))).toBe(true);
    expect(visible('\u0645\u0631 🦀 e\u0301')).toBe('\u0645\u0631 🦀 e\u0301');
  });
});

describe('selector', () => {
  const parse = (text: string) => parseSelector(text);

  test('a formatted selector is parsed to the same matchers', () => {
    const matchers: Matcher[] = [
      { name: 'service_name', op: '=', value: 'x' },
      { name: 'member', op: '=~', value: 'gc.*' },
      { name: 'op', op: '!=', value: 'a"b\\c\nd' },
      { name: 'region', op: '!~', value: 'eu|us' },
    ];
    expect(parse(formatSelector(matchers))).toEqual({ ok: true, matchers });
  });

  test('spaces, missing braces and a trailing comma are accepted', () => {
    const matchers = [{ name: 'a', op: '=', value: 'b' }, { name: 'c', op: '!=', value: '' }];
    expect(parse(' { a = "b" , c != "" , } ')).toEqual({ ok: true, matchers });
    expect(parse('a="b",c!=""')).toEqual({ ok: true, matchers });
    expect(parse('{}')).toEqual({ ok: true, matchers: [] });
  });

  test('an error names what was expected and where', () => {
    expect(parse('{a="b"')).toMatchObject({ ok: false, error: 'expected a closing } at column 7' });
    expect(parse('{a~"b"}')).toMatchObject({ ok: false, error: 'expected =, !=, =~ or !~ after a at column 3' });
    expect(parse('{a=b}')).toMatchObject({ ok: false, error: expect.stringContaining('double quotes') });
    expect(parse('{a=~"("}')).toMatchObject({ ok: false, error: expect.stringContaining('invalid regular expression') });
    expect(parse('{a="b"} c')).toMatchObject({ ok: false });
    expect(parse('{a="b" c="d"}')).toMatchObject({ ok: false, error: expect.stringContaining('expected a comma') });
  });

  test('a selector names a service with exactly one equality', () => {
    const of = (text: string) => {
      const p = parse(text);
      return p.ok ? serviceOf(p.matchers) : undefined;
    };
    expect(of('{service_name="x",a="b"}')).toBe('x');
    expect(of('{service_name=~"x"}')).toBeNull();
    const p = parse('{service_name="x",a="b"}');
    expect(p.ok && filtersOf(p.matchers)).toEqual([{ name: 'a', op: '=', value: 'b' }]);
  });

  test('choosing one of several services keeps the filters', () => {
    const p = parse('{service_name=~"x|y",a="b"}');
    expect(p.ok && formatSelector(forService('y', p.matchers))).toBe('{service_name="y",a="b"}');
  });

  test('several values become one regular expression of escaped alternatives', () => {
    expect(matcherFor('member', '=', ['gc.volumes', 'api'])).toEqual({ name: 'member', op: '=~', value: 'gc\\.volumes|api' });
    expect(matcherFor('member', '!=', ['a', 'b']).op).toBe('!~');
    expect(matcherFor('member', '=', ['gc.volumes'])).toEqual({ name: 'member', op: '=', value: 'gc.volumes' });
  });
});

describe('problems', () => {
  test('a problem document is shown as a sentence', () => {
    const body = JSON.stringify({ type: 'about:blank', title: 'the range is too long', status: 400, detail: 'Ask for at most 731 days.' });
    expect(problemText(problemFrom(400, 'application/problem+json', body))).toBe(
      'The range is too long. Ask for at most 731 days (HTTP 400).',
    );
  });

  test('a title that repeats the status is left out', () => {
    const body = JSON.stringify({ title: 'Bad Request', status: 400, detail: 'selector: expected a closing }' });
    expect(problemText(problemFrom(400, 'application/problem+json', body))).toBe('Selector: expected a closing } (HTTP 400).');
    expect(problemText({ title: 'Not Found', detail: '', status: 404 })).toBe('Not Found (HTTP 404).');
  });

  test('a body that is not a problem document is described by its status, never as markup', () => {
    expect(problemText(problemFrom(502, 'text/html', '<html>bad gateway</html>'))).toBe('Server error (HTTP 502).');
    expect(problemText(problemFrom(503, 'application/json', 'oops'))).toContain('disabled or not ready');
  });
});

describe('push example', () => {
  test('the service is quoted for the shell and encoded for the URL', () => {
    expect(davyPush('shop')).toBe('davy push cpu.pb.gz --service shop');
    expect(davyPush("a b's")).toBe("davy push cpu.pb.gz --service 'a b'\\''s'");
    expect(curlPush('a b', 'davy.example')).toContain("'http://davy.example:4040/ingest?name=a%20b&format=folded'");
    expect(curlPush('shop', '::1')).toContain("'http://[::1]:4040/");
    expect(curlPush('shop', '[::1]')).toContain("'http://[::1]:4040/");
    expect(curlPush("it's", '')).toContain("'http://127.0.0.1:4040/ingest?name=it'\\''s&format=folded'");
  });
});
