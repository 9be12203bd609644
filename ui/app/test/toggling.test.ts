import { describe, expect, test } from 'vitest';
import { actionsOf, changeWords, objection, request, toggleWord, warning } from '../logic/members/change';
import { flameAddress } from '../logic/members/flamelink';
import { lines } from '../logic/members/lines';
import { ago, agoShort, factsOf, healthWords, notesOf, summary } from '../logic/members/notes';
import { formatSelector } from '../logic/selector';
import { fromUrl } from '../logic/urlstate';
import { NOW, OFF, ON, endpoint, line, member, operation, run } from './members-fixtures';

const wish = { action: 'off', why: ' memory ', limit: 4, slot: '' } as const;
const op = (said = ON) => line('api', { operations: [operation('ListAllJobs')] }, [endpoint('ListAllJobs', 'api', { toggle: said })]).children[0];
const texts = (l: Parameters<typeof notesOf>[0]): string[] => notesOf(l, NOW).map((n) => `${n.tone}: ${n.text}`);

describe('a change', () => {
  test('every action has its request', () => {
    const of = (l: ReturnType<typeof line>, more: object) => {
      const { method, path, body } = request(l, { ...wish, ...more });
      return `${method} ${path} ${JSON.stringify(body)}`;
    };
    const api = line('a/b');
    expect(of(api, {})).toBe('PUT members/a%2Fb {"enabled":false,"why":"memory"}');
    expect(of(api, { action: 'on' })).toBe('PUT members/a%2Fb {"enabled":true,"why":"memory"}');
    expect(of(api, { action: 'restart' })).toBe('POST members/a%2Fb/restart {"why":"memory"}');
    expect(of(api, { action: 'wake' })).toBe('POST members/a%2Fb/wake null');
    expect(of(op(), {})).toBe('PUT endpoints/ListAllJobs {"enabled":false,"why":"memory"}');
    expect(of(op(), { action: 'limit' })).toBe('PUT endpoints/ListAllJobs {"limit":4,"why":"memory"}');
    expect(of(op(), { action: 'limit', slot: '30s' })).toBe('PUT endpoints/ListAllJobs {"limit":4,"slot":"30s","why":"memory"}');
  });

  test('the likeliest wish comes first', () => {
    expect(actionsOf(line('api'))).toEqual(['off', 'restart']);
    expect(actionsOf(line('api', { toggle: OFF }))).toEqual(['on']);
    expect(actionsOf(line('gc', { last_run: run() }))).toEqual(['off', 'restart', 'wake']);
    expect(actionsOf(op())).toEqual(['off', 'limit']);
    expect(actionsOf(op(OFF))).toEqual(['on', 'limit']);
    expect(actionsOf(op({ ...ON, limit: 2 }))).toEqual(['off', 'limit', 'on']);
    expect(actionsOf(line('api', { operations: [operation('tick')] }).children[0])).toEqual([]);
  });

  test('nobody disables without a name and a reason; a header carries plain names only', () => {
    expect(objection(wish, 'ada')).toBeNull();
    expect(objection(wish, ' ')).toMatch(/name is needed/);
    expect(objection(wish, 'Zoë')).toMatch(/plain Latin/);
    expect(objection({ ...wish, why: ' ' }, 'ada')).toMatch(/reason is needed/);
    expect(objection({ ...wish, why: '', action: 'on' }, 'ada')).toBeNull();
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      expect(objection({ ...wish, action: 'limit', limit }, 'ada')).toMatch(/whole number/);
    }
  });

  test('to disable what this page works through takes a warning', () => {
    const endpoints = [endpoint('ListMembers'), endpoint('Push', 'archive.ingest')];
    expect(warning(line('api'), 'off', endpoints, ['127.0.0.1:6060'])).toMatch(/only from a terminal, or at .*127\.0\.0\.1:6060/);
    expect(warning(line('api'), 'restart', endpoints, [])).toBeNull();
    expect(warning(line('archive.ingest'), 'off', endpoints, [])).toBeNull();
    expect(warning(op(), 'off', endpoints, [])).toBeNull();
  });

  test('a toggle and a change are told in words', () => {
    expect([ON, OFF, { ...ON, limit: 3 }].map(toggleWord)).toEqual(['on', 'off', 'limit 3']);
    expect(changeWords({ what: 'endpoint.disable', detail: '{}' })).toBe('disabled');
    expect(changeWords({ what: 'endpoint.limit', detail: '{"limit_to":3,"slot_ms":30000}' })).toBe('limited to 3 at a time, 30 s each');
    expect(changeWords({ what: 'member.configure', detail: '{"before":null,"after":"off"}' })).toBe('configured off, was on');
    expect(changeWords({ what: 'member.paint', detail: 'no json' })).toBe('member.paint no json');
  });
});

describe('notes', () => {
  test('who toggled it, when and why stands on the line, once', () => {
    expect(texts(line('gc', { state: 'off', toggle: OFF, note: 'ada: memory' }))).toEqual(['warn: off by ada, 4 min ago: memory']);
    expect(texts(line('gc', { toggle: { ...ON, limit: 2, slot_seconds: 30, source: 'davy.toml' } }))).toEqual(['warn: limit 2, 30 s each (davy.toml)']);
  });

  test('a closed member tells of its endpoints that are off', () => {
    const off = line('api', {}, ['A', 'B', 'C', 'D'].map((name) => endpoint(name, 'api', { toggle: OFF })));
    expect(texts(off)).toEqual([...['A', 'B', 'C'].map((n) => `warn: ${n} off by ada, 4 min ago: memory`), 'warn: and 1 more endpoints']);
  });

  test('why it fell, what it left behind, what waits and what is late', () => {
    expect(texts(line('x', { state: 'backing-off', since: NOW - 5_000, error: 'panicked', note: 'starts again in 3 s', leaked: 1 }))).toEqual([
      'bad: panicked', 'quiet: starts again in 3 s', 'quiet: backing-off for 5 s', 'warn: 1 leaked task',
    ]);
    expect(texts(line('x', { connections: { in_use: 8, budget: 8, waiting: 2 }, age_seconds: 25 }))).toEqual([
      'warn: 2 queries wait for one of 8 connections', 'warn: last heard of 25 s ago',
    ]);
    expect(texts(line('gc', { last_run: run({ stale: true, at: NOW - 600_000, error: 'timed out' }) }))).toEqual([
      'bad: late: last success 10 min ago, every 1 min: timed out',
    ]);
    expect(texts(line('gc', { last_run: run({ stale: true, at: null }) }))).toEqual(['bad: late: no run has succeeded, every 1 min']);
  });

  test('a healthy member has nothing to say', () => {
    expect(texts(line('api'))).toEqual([]);
  });

  test('of several processes each note says whose it is', () => {
    const [sum] = lines([member('x'), member('x', { process: 'backend', host: 'node-2', pid: 9, error: 'fell', state: 'failed' })], [], 'member');
    expect(notesOf(sum, NOW)[0]).toEqual({ tone: 'bad', text: 'backend (node-2): fell' });
    expect(factsOf(sum, NOW).map((f) => f.name)).toEqual(['in web', 'in backend', 'since the start']);
  });

  test('a reason without words makes no row', () => {
    expect(texts(line('api', { note: '', error: '' }))).toEqual([]);
  });

  test('an open line tells where it runs, its error bar and its totals', () => {
    const facts = factsOf(line('api', { heap_bytes: 4 << 20, heap_error_bytes: 1 << 20, requests: 7, refused: 2, child_pid: 9, last_run: run() }), NOW);
    expect(facts.map(({ name, text }) => `${name}: ${text}`)).toEqual([
      'in web: ready for 1 min · pid 7, child 9 on node-1 · debug 127.0.0.1:6060',
      'live heap: 4.00 MiB ± 1.00 MiB (standard error of the samples)',
      'since the start: CPU – · allocated 0 B · 0 polls · 7 requests, 2 of them refused',
      'last run: done, 30 s ago, took 400 ms, every 1 min',
    ]);
  });

  test('a process near its memory limit, or not heard of, is bad news', () => {
    const kernel = { resident_bytes: 90 << 20, cpu_seconds: 1, threads: 2, open_files: 3, memory_limit_bytes: 100 << 20 };
    const [process] = lines([member('api', { kernel, age_seconds: 40 })], [], 'process');
    expect(texts(process).filter((t) => t.startsWith('bad'))).toEqual(['bad: last heard of 40 s ago', 'bad: resident 90.0 MiB of 100 MiB']);
  });

  test('past is told in words, and in a column by its largest unit', () => {
    expect([0, 500, -5_000].map((ms) => ago(NOW - ms, NOW))).toEqual(['just now', 'just now', 'just now']);
    expect(ago(NOW - 425_000, NOW)).toBe('7 min 5 s ago');
    expect([425_000, 60_000, 4_000, 200].map((ms) => agoShort(NOW - ms, NOW))).toEqual(['7 min ago', '1 min ago', '4 s ago', 'just now']);
  });

  test('health and fleet in a sentence', () => {
    expect(healthWords({ status: 'ok', failing: [], degraded: [] })).toBeNull();
    expect(healthWords({ status: 'failing', failing: [{ member: 'a', state: 'failed', error: 'x' }], degraded: [{ member: 'b', state: 'stale', error: null }] }))
      .toEqual({ tone: 'bad', text: 'a is failed (x); b is stale.' });
    const rows = [member('a'), member('a', { pid: 8 }), member('b', { state: 'off' }), member('(untagged)', { state: '-' })];
    expect(summary(rows, line('a', { heap_bytes: 1 << 20, cpu: 0.5 }).usage)).toBe('2 members in 2 processes · 1 off · heap 1.00 MiB · CPU 50.0 %');
  });
});

describe('the link to a flame graph', () => {
  const back = (address: string) => {
    const url = new URL(address, 'http://x/members');
    return { path: url.pathname, ...fromUrl(url.search, url.hash) };
  };

  test('Explore understands it as it was meant', () => {
    const s = back(flameAddress('davy', { member: 'api', op: 'ListAllJobs' }, 'heap'));
    expect(s.path).toBe('/');
    expect(formatSelector(s.matchers)).toBe('{service_name="davy",member="api",op="ListAllJobs"}');
    expect(s.type).toBe('memory:inuse_space:bytes:space:bytes');
    expect(s.range).toEqual({ from: 'now-15m', until: 'now' });
    expect(s.by).toEqual([]);
  });

  test('a member is grouped by operation, a process by member, and what has no tag is found', () => {
    expect(back(flameAddress('davy', { member: 'api' }, 'cpu')).by).toEqual(['op']);
    expect(back(flameAddress('davy', { process: 'web' }, 'cpu')).by).toEqual(['member']);
    expect(formatSelector(back(flameAddress('s', { member: '(untagged)' }, 'cpu')).matchers)).toBe('{service_name="s",member=""}');
  });
});
