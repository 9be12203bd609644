import { describe, expect, test } from 'vitest';
import { problemFrom, sentence } from '../api/problem';
import { formatDuration, formatShare, formatValue, typeLabel } from '../logic/format';
import { shorten } from '../logic/names';
import { isRuntime, packageOf } from '../logic/packages';
import {
  type Matcher, filtersOf, formatSelector, matcherFor, parseSelector, serviceOf,
} from '../logic/selector';

describe('format', () => {
  const check = (input: [number, string], expected: string): void => expect(formatValue(...input)).toBe(expected);

  test('values take the unit that a person would use', () => {
    check([0, 'nanoseconds'], '0 ns');
    check([950, 'nanoseconds'], '950 ns');
    check([1.5e6, 'nanoseconds'], '1.50 ms');
    check([2.5e9, 'nanoseconds'], '2.50 s');
    check([90e9, 'nanoseconds'], '1.50 min');
    check([7200e9, 'nanoseconds'], '2.00 h');
    check([512, 'bytes'], '512 B');
    check([1024 * 1.5, 'bytes'], '1.50 KiB');
    check([300 * 1024 ** 2, 'bytes'], '300 MiB');
    check([42, 'count'], '42');
    check([9_999, 'count'], '9999');
    check([12_340, 'count'], '12.3 k');
    check([2.5e6, 'count'], '2.50 M');
    check([7, 'goroutines'], '7 goroutines');
    check([Number.NaN, 'bytes'], '–');
  });

  test('a value just below a unit is not written as a thousand of the smaller one', () => {
    check([999_999_999, 'nanoseconds'], '1.00 s');
  });

  test('a share that is there never reads as nothing, and nothing never as something', () => {
    expect(formatShare(0, 10)).toBe('0 %');
    expect(formatShare(1, 1e9)).toBe('< 0.01 %');
    expect(formatShare(1, 3)).toBe('33.3 %');
    expect(formatShare(10, 10)).toBe('100 %');
    expect(formatShare(1, 0)).toBe('–');
  });

  test('durations have two units at most', () => {
    expect(formatDuration(90_000)).toBe('1 min 30 s');
    expect(formatDuration(3600_000)).toBe('1 h');
    expect(formatDuration(90_061_000)).toBe('1 d 1 h');
    expect(formatDuration(250)).toBe('250 ms');
  });

  test('profile types have names, unknown ones their own words', () => {
    expect(typeLabel('memory:inuse_space:bytes:space:bytes')).toBe('Heap in use, bytes');
    expect(typeLabel('tasks:age:nanoseconds::')).toBe('Age of tasks');
    expect(typeLabel('tasks:polls:count::')).toBe('Polls of tasks');
    expect(typeLabel('process_cpu:samples:count:cpu:nanoseconds')).toBe('CPU samples');
    expect(typeLabel('mutex:contentions:count:mutex:count')).toBe('mutex contentions');
  });
});

describe('names', () => {
  test('the package of a frame is told in the languages that are pushed here', () => {
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

  test('a path that names the package is believed before a generic name, and a version is no part of it', () => {
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

  test('the runtime is told from what stands on it', () => {
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

describe('selector', () => {
  const parse = (text: string) => parseSelector(text);

  test('what is written is read back', () => {
    const matchers: Matcher[] = [
      { name: 'service_name', op: '=', value: 'x' },
      { name: 'member', op: '=~', value: 'gc.*' },
      { name: 'op', op: '!=', value: 'a"b\\c\nd' },
      { name: 'region', op: '!~', value: 'eu|us' },
    ];
    expect(parse(formatSelector(matchers))).toEqual({ ok: true, matchers });
  });

  test('spaces, a missing pair of braces and a last comma are forgiven', () => {
    const matchers = [{ name: 'a', op: '=', value: 'b' }, { name: 'c', op: '!=', value: '' }];
    expect(parse(' { a = "b" , c != "" , } ')).toEqual({ ok: true, matchers });
    expect(parse('a="b",c!=""')).toEqual({ ok: true, matchers });
    expect(parse('{}')).toEqual({ ok: true, matchers: [] });
  });

  test('an error tells what was expected and where', () => {
    expect(parse('{a="b"')).toMatchObject({ ok: false, error: 'a closing } is missing at character 7' });
    expect(parse('{a~"b"}')).toMatchObject({ ok: false, error: '=, !=, =~ or !~ is expected after a at character 3' });
    expect(parse('{a=b}')).toMatchObject({ ok: false, error: expect.stringContaining('double quotes') });
    expect(parse('{a=~"("}')).toMatchObject({ ok: false, error: expect.stringContaining('no valid regular expression') });
    expect(parse('{a="b"} c')).toMatchObject({ ok: false });
    expect(parse('{a="b" c="d"}')).toMatchObject({ ok: false, error: expect.stringContaining('a comma') });
  });

  test('the service is what exactly one equality names', () => {
    const of = (text: string) => {
      const p = parse(text);
      return p.ok ? serviceOf(p.matchers) : undefined;
    };
    expect(of('{service_name="x",a="b"}')).toBe('x');
    expect(of('{service_name=~"x"}')).toBeNull();
    const p = parse('{service_name="x",a="b"}');
    expect(p.ok && filtersOf(p.matchers)).toEqual([{ name: 'a', op: '=', value: 'b' }]);
  });

  test('several values become one expression in which each stands for itself', () => {
    expect(matcherFor('member', '=', ['gc.volumes', 'api'])).toEqual({ name: 'member', op: '=~', value: 'gc\\.volumes|api' });
    expect(matcherFor('member', '!=', ['a', 'b']).op).toBe('!~');
    expect(matcherFor('member', '=', ['gc.volumes'])).toEqual({ name: 'member', op: '=', value: 'gc.volumes' });
  });
});

describe('problems', () => {
  test('a problem document becomes a sentence', () => {
    const body = JSON.stringify({ type: 'about:blank', title: 'the range is too long', status: 400, detail: 'Ask for at most 731 days.' });
    expect(sentence(problemFrom(400, 'application/problem+json', body))).toBe(
      'The range is too long. Ask for at most 731 days (HTTP 400).',
    );
  });

  test('a title that only repeats the status is left out', () => {
    const body = JSON.stringify({ title: 'Bad Request', status: 400, detail: 'selector: a closing } is missing' });
    expect(sentence(problemFrom(400, 'application/problem+json', body))).toBe('Selector: a closing } is missing (HTTP 400).');
    expect(sentence({ title: 'Not Found', detail: '', status: 404 })).toBe('Not Found (HTTP 404).');
  });

  test('an answer that is no problem document is told by its status, and never as markup', () => {
    expect(sentence(problemFrom(502, 'text/html', '<html>bad gateway</html>'))).toBe('The server failed (HTTP 502).');
    expect(sentence(problemFrom(503, 'application/json', 'oops'))).toContain('disabled or not ready');
  });
});
