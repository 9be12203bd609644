import { describe, expect, test } from 'vitest';
import { actionsOf, changeText, request, toggleText, validationError, warning } from '../logic/members/actions';
import { flameUrl } from '../logic/members/flamelink';
import { lines } from '../logic/members/lines';
import { ago, agoShort, factsOf, healthText, notesOf, summary } from '../logic/members/notes';
import { formatSelector } from '../logic/selector';
import { fromUrl } from '../logic/urlstate';
import { NOW, OFF, ON, endpoint, line, member, operation, run } from './members-fixtures';

const wanted = { action: 'disable', why: ' memory ', limit: 4, slot: '' } as const;
const op = (toggle = ON) => line('api', { operations: [operation('ListAllJobs')] }, [endpoint('ListAllJobs', 'api', { toggle })]).children[0];
const texts = (l: Parameters<typeof notesOf>[0]): string[] => notesOf(l, NOW).map((n) => `${n.tone}: ${n.text}`);

describe('actions', () => {
  test('every action has a request', () => {
    const of = (l: ReturnType<typeof line>, more: object) => {
      const { method, path, body } = request(l, { ...wanted, ...more });
      return `${method} ${path} ${JSON.stringify(body)}`;
    };
    const api = line('a/b');
    expect(of(api, {})).toBe('PUT members/a%2Fb {"enabled":false,"why":"memory"}');
    expect(of(api, { action: 'enable' })).toBe('PUT members/a%2Fb {"enabled":true,"why":"memory"}');
    expect(of(api, { action: 'restart' })).toBe('POST members/a%2Fb/restart {"why":"memory"}');
    expect(of(api, { action: 'run' })).toBe('POST members/a%2Fb/wake null');
    expect(of(op(), {})).toBe('PUT endpoints/ListAllJobs {"enabled":false,"why":"memory"}');
    expect(of(op(), { action: 'limit' })).toBe('PUT endpoints/ListAllJobs {"limit":4,"why":"memory"}');
    expect(of(op(), { action: 'limit', slot: '30s' })).toBe('PUT endpoints/ListAllJobs {"limit":4,"slot":"30s","why":"memory"}');
  });

  test('the default action comes first', () => {
    expect(actionsOf(line('api'))).toEqual(['disable', 'restart']);
    expect(actionsOf(line('api', { toggle: OFF }))).toEqual(['enable']);
    expect(actionsOf(line('gc', { last_run: run() }))).toEqual(['disable', 'restart', 'run']);
    expect(actionsOf(op())).toEqual(['disable', 'limit']);
    expect(actionsOf(op(OFF))).toEqual(['enable', 'limit']);
    expect(actionsOf(op({ ...ON, limit: 2 }))).toEqual(['disable', 'limit', 'enable']);
    expect(actionsOf(line('api', { operations: [operation('tick')] }).children[0])).toEqual([]);
  });

  test('a change needs an ASCII name, a reason and a positive limit', () => {
    expect(validationError(wanted, 'ada')).toBeNull();
    expect(validationError(wanted, ' ')).toMatch(/Enter your name/);
    expect(validationError(wanted, 'Zoë')).toMatch(/only ASCII/);
    expect(validationError({ ...wanted, why: ' ' }, 'ada')).toMatch(/Enter a reason/);
    expect(validationError({ ...wanted, why: '', action: 'enable' }, 'ada')).toBeNull();
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      expect(validationError({ ...wanted, action: 'limit', limit }, 'ada')).toMatch(/whole number of at least 1/);
    }
  });

  test('disabling what serves this page shows a warning', () => {
    const endpoints = [endpoint('ListMembers'), endpoint('Push', 'archive.ingest')];
    expect(warning(line('api'), 'disable', endpoints, ['127.0.0.1:6060'])).toMatch(/enable it from a terminal or through a debug port \(127\.0\.0\.1:6060\)/);
    expect(warning(line('api'), 'restart', endpoints, [])).toBeNull();
    expect(warning(line('archive.ingest'), 'disable', endpoints, [])).toBeNull();
    expect(warning(op(), 'disable', endpoints, [])).toBeNull();
  });

  test('toggles and changes are described in words', () => {
    expect([ON, OFF, { ...ON, limit: 3 }].map(toggleText)).toEqual(['enabled', 'disabled', 'limited to 3']);
    expect(changeText({ what: 'endpoint.disable', detail: '{}' })).toBe('disabled');
    expect(changeText({ what: 'endpoint.limit', detail: '{"limit_to":3,"slot_ms":30000}' })).toBe('limited to 3 concurrent requests, 30 s each');
    expect(changeText({ what: 'member.configure', detail: '{"before":null,"after":"off"}' })).toBe('configured disabled, was enabled');
    expect(changeText({ what: 'member.paint', detail: 'no json' })).toBe('member.paint no json');
  });
});

describe('notes', () => {
  test('a toggled line shows operator, time and reason once', () => {
    expect(texts(line('gc', { state: 'off', toggle: OFF, note: 'ada: memory' }))).toEqual(['warn: disabled by ada, 4 min ago: memory']);
    expect(texts(line('gc', { toggle: { ...ON, limit: 2, slot_seconds: 30, source: 'davy.toml' } }))).toEqual(['warn: limited to 2, 30 s per slot (davy.toml)']);
  });

  test('a closed member line lists its restricted endpoints', () => {
    const restricted = line('api', {}, ['A', 'B', 'C', 'D'].map((name) => endpoint(name, 'api', { toggle: OFF })));
    expect(texts(restricted)).toEqual([...['A', 'B', 'C'].map((n) => `warn: ${n} disabled by ada, 4 min ago: memory`), 'warn: and 1 more endpoint']);
  });

  test('notes show errors, leaked tasks, waiting queries, old reports and stale runs', () => {
    expect(texts(line('x', { state: 'backing-off', since: NOW - 5_000, error: 'panicked', note: 'starts again in 3 s', leaked: 1 }))).toEqual([
      'bad: panicked', 'quiet: starts again in 3 s', 'quiet: backing off for 5 s', 'warn: 1 leaked task',
    ]);
    expect(texts(line('x', { connections: { in_use: 8, budget: 8, waiting: 2 }, age_seconds: 25 }))).toEqual([
      'warn: 2 queries waiting for one of 8 connections', 'warn: last report 25 s ago',
    ]);
    expect(texts(line('gc', { last_run: run({ stale: true, at: NOW - 600_000, error: 'timed out' }) }))).toEqual([
      'bad: stale: last success 10 min ago, runs every 1 min: timed out',
    ]);
    expect(texts(line('gc', { last_run: run({ stale: true, at: null }) }))).toEqual(['bad: stale: no successful run yet, runs every 1 min']);
  });

  test('a healthy member has no notes', () => {
    expect(texts(line('api'))).toEqual([]);
  });

  test('notes of a member in several processes name the process', () => {
    const [sum] = lines([member('x'), member('x', { process: 'backend', host: 'node-2', pid: 9, error: 'panicked', state: 'failed' })], [], 'member');
    expect(notesOf(sum, NOW)[0]).toEqual({ tone: 'bad', text: 'backend (node-2): panicked' });
    expect(factsOf(sum, NOW).map((f) => f.name)).toEqual(['in web', 'in backend', 'since start']);
  });

  test('an empty error or note makes no note', () => {
    expect(texts(line('api', { note: '', error: '' }))).toEqual([]);
  });

  test('an open line shows its processes, standard error and totals', () => {
    const facts = factsOf(line('api', { heap_bytes: 4 << 20, heap_error_bytes: 1 << 20, requests: 7, refused: 2, child_pid: 9, last_run: run() }), NOW);
    expect(facts.map(({ name, text }) => `${name}: ${text}`)).toEqual([
      'in web: ready for 1 min · pid 7, child 9 on node-1 · debug 127.0.0.1:6060',
      'live heap: 4.00 MiB ± 1.00 MiB (standard error of sampling)',
      'since start: CPU 0 s · 0 B allocated · 0 polls · 7 requests, 2 refused',
      'last run: done, 30 s ago, took 400 ms, runs every 1 min',
    ]);
  });

  test('a process near its memory limit or without a recent report is marked bad', () => {
    const kernel = { resident_bytes: 90 << 20, cpu_seconds: 1, threads: 2, open_files: 3, memory_limit_bytes: 100 << 20 };
    const [process] = lines([member('api', { kernel, age_seconds: 40 })], [], 'process');
    expect(texts(process).filter((t) => t.startsWith('bad'))).toEqual(['bad: last report 40 s ago', 'bad: resident 90.0 MiB of 100 MiB']);
  });

  test('ages are in words, in a column with the largest unit only', () => {
    expect([0, 500, -5_000].map((ms) => ago(NOW - ms, NOW))).toEqual(['just now', 'just now', 'just now']);
    expect(ago(NOW - 425_000, NOW)).toBe('7 min 5 s ago');
    expect([425_000, 60_000, 4_000, 200].map((ms) => agoShort(NOW - ms, NOW))).toEqual(['7 min ago', '1 min ago', '4 s ago', 'just now']);
  });

  test('health and the fleet are summarised in a sentence', () => {
    expect(healthText({ status: 'ok', failing: [], degraded: [] })).toBeNull();
    expect(healthText({ status: 'failing', failing: [{ member: 'a', state: 'failed', error: 'x' }], degraded: [{ member: 'b', state: 'stale', error: null }] }))
      .toEqual({ tone: 'bad', text: 'a is failed (x); b is stale.' });
    const rows = [member('a'), member('a', { pid: 8 }), member('b', { state: 'off' }), member('(untagged)', { state: '-' })];
    expect(summary(rows, line('a', { heap_bytes: 1 << 20, cpu: 0.5 }).usage)).toBe('2 members in 2 processes · 1 disabled · heap 1.00 MiB · CPU 50.0%');
  });
});

describe('link to a flame graph', () => {
  const parse = (address: string) => {
    const url = new URL(address, 'http://x/members');
    return { path: url.pathname, ...fromUrl(url.search, url.hash) };
  };

  test('Explore parses it to the selector, type and range of the line', () => {
    const s = parse(flameUrl('davy', { member: 'api', op: 'ListAllJobs' }, 'heap'));
    expect(s.path).toBe('/explore');
    expect(formatSelector(s.matchers)).toBe('{service_name="davy",member="api",op="ListAllJobs"}');
    expect(s.type).toBe('memory:inuse_space:bytes:space:bytes');
    expect(s.range).toEqual({ from: 'now-15m', until: 'now' });
    expect(s.by).toEqual([]);
  });

  test('a member is grouped by operation, a process by member, and untagged usage is matched', () => {
    expect(parse(flameUrl('davy', { member: 'api' }, 'cpu')).by).toEqual(['op']);
    expect(parse(flameUrl('davy', { process: 'web' }, 'cpu')).by).toEqual(['member']);
    expect(formatSelector(parse(flameUrl('s', { member: '(untagged)' }, 'cpu')).matchers)).toBe('{service_name="s",member=""}');
  });
});
