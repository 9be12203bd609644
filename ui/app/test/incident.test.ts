import { describe, expect, test } from 'vitest';
import type { ChangesAnswer } from '../api/types';
import { diffLink, formatDelta, formatFactor, graphLink, isOwn, rowsOf, switchLink, totalOf } from '../logic/incident/texts';
import { INCIDENT_DEFAULTS, fromIncidentUrl, toIncidentUrl } from '../logic/incident/urlstate';
import { pageOf } from '../logic/route';
import { changes as fixture } from '../../fixture/changes.mjs';

const changes = fixture as unknown as (options: Parameters<typeof fixture>[0]) => ChangesAnswer;
const answer = changes({ from: 1_800_000_000_000, until: 1_800_000_600_000, by: ['service_name', 'member', 'op'], against: 'day', young: false });
const all = { measure: null, filter: '', all: false };
const said = (options: Parameters<typeof rowsOf>[1]): string[] => rowsOf(answer, options).rows.map(({ name, of, change }) => `${change.kind} ${name} (${of}) ${change.measure}`);

describe('changes', () => {
  test('what changed is listed by rank, and what did not is counted', () => {
    const { rows, same } = rowsOf(answer, all);
    expect(said(all)[0]).toBe('new ListAllJobs (api) errors');
    expect(said(all)).toContain('gone run (log-collector) heap');
    expect(rows.length + same).toBe(answer.changes.length);
    expect(rowsOf(answer, { ...all, all: true }).rows.length).toBe(answer.changes.length);
  });

  test('a measure and words select rows', () => {
    expect(said({ ...all, measure: 'p99' })).toEqual(['grew ListAllJobs (api) p99', 'grew GetBuild (api) p99']);
    expect(said({ ...all, filter: 'gone' })).toEqual(['gone run (log-collector) heap']);
    expect(said({ ...all, filter: 'compactor cpu' })).toEqual(['shrank run (archive.compactor) cpu']);
  });

  test('differences are said with a sign and a factor', () => {
    expect(formatDelta('heap', 12 * 2 ** 20)).toBe('+12.0 MiB');
    expect(formatDelta('requests', -3.25)).toBe('−3.3');
    expect(formatDelta('cpu', 0)).toBe('0%');
    expect([formatFactor(12, 10), formatFactor(5, 10), formatFactor(45, 10), formatFactor(4, 0), formatFactor(0, 4)]).toEqual(['+20.0%', '−50.0%', '4.5 times', '', '']);
  });

  test('sums are compared with the chosen range', () => {
    const total = totalOf(answer.measures.find((m) => m.name === 'requests')!, 'day')!;
    expect(total).toEqual({ now: '38.2', change: '+92.9%', up: true });
    expect(totalOf(answer.measures.find((m) => m.name === 'p99')!, 'day')).toBeNull();
  });

  test('a member of another service is not one of this Davy, whatever its name', () => {
    const members = new Set(['api']);
    const shop = { ...answer, changes: [...answer.changes, { ...answer.changes[0], labels: { service_name: 'shop', member: 'api' } }] };
    expect(isOwn(shop, { service_name: 'davy', member: 'api' }, members)).toBe(true);
    expect(isOwn(shop, { service_name: 'shop', member: 'api' }, members)).toBe(false);
    expect([isOwn(shop, { member: 'api' }, members), isOwn(shop, { member: 'cart' }, members), isOwn(shop, {}, members)]).toEqual([true, false, false]);
    // Davy's own service has another name.
    expect(isOwn({ ...answer, changes: [] }, { service_name: 'acme-davy', member: 'api' }, members)).toBe(true);
  });

  test('a page of another service offers no switch of this Davy', () => {
    const of = (service: string): boolean => {
      const change = { ...answer.changes[0], labels: { service_name: service, member: 'api' } };
      return isOwn({ ...answer, selector: `{service_name="${service}"}`, changes: [change] }, change.labels, new Set(['api']));
    };
    expect([of('shop'), of('davy')]).toEqual([false, true]);
  });

  test('a change leads to its difference, its graph, its heap and its switch', () => {
    const heap = answer.changes.find(({ measure, labels }) => measure === 'heap' && labels['op'] === 'ListAllJobs')!;
    const diff = new URL(diffLink(answer, heap, 'day')!, 'http://davy/');
    expect(diff.pathname).toBe('/compare');
    expect(diff.searchParams.get('selector')).toBe('{service_name="davy",member="api",op="ListAllJobs"}');
    expect(Number(diff.searchParams.get('from')) - Number(diff.searchParams.get('base_from'))).toBe(864e5);
    expect(new URL(graphLink(answer, heap.labels, 'cpu'), 'http://davy/').searchParams.get('type')).toBe('process_cpu:cpu:nanoseconds:cpu:nanoseconds');
    expect(switchLink(heap.labels)).toBe('./members?by=operation&filter=ListAllJobs');
    expect(switchLink({ service_name: 'davy', member: 'gc.volumes' })).toBe('./members?filter=gc.volumes');
    const young = changes({ from: 1, until: 2, by: ['member'], against: null, young: true });
    expect(diffLink(young, young.changes[0], 'hour')).toBeNull();
  });
});

describe('addresses', () => {
  test('the state of Incident is preserved in its URL', () => {
    const state = { ...INCIDENT_DEFAULTS, against: 'week' as const, by: 'operation' as const, measure: 'heap' as const, service: 'a b', filter: 'x&y', minutes: 60, until: 1_800_000_000_000, all: true };
    expect(fromIncidentUrl(toIncidentUrl(state))).toEqual(state);
    expect(toIncidentUrl(INCIDENT_DEFAULTS)).toBe('');
    expect(fromIncidentUrl('?against=year&minutes=-1&until=soon')).toEqual(INCIDENT_DEFAULTS);
  });

  test('the first page is Incident, and earlier links to Explore still lead there', () => {
    const page = (path: string) => pageOf(new URL(path, 'http://davy/'));
    expect(page('/')).toBe('incident');
    expect(page('/?against=day&filter=x')).toBe('incident');
    expect(page('/?type=cpu&from=now-1h')).toBe('explore');
    expect(page('/?selector={}')).toBe('explore');
    expect(page('/#zoom=abc')).toBe('explore');
    expect(page('/prefix/explore')).toBe('explore');
    expect(page('/members')).toBe('members');
    expect(page('/incident')).toBeNull();
    expect(page('/nothing')).toBeNull();
  });
});
