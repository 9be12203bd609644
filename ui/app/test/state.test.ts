import { describe, expect, test } from 'vitest';
import type { SeriesAnswer } from '../api/types';
import { effectiveRange, rangeText } from '../logic/effective';
import { type EmptyReason, type Situation, emptyReason } from '../logic/emptystate';
import { DEFAULT_RANGE, FRESH_RANGE, isChosen, isFresh, resolve, stepFor, widened } from '../logic/range';
import { shape, stackedTops } from '../logic/timeline';
import { millis } from '../logic/units';
import { DEFAULTS, type State, fromUrl, toUrl } from '../logic/urlstate';

const NOW = Date.UTC(2026, 2, 1, 12, 0, 0);
const span = (seconds: number) => ({ from: millis(NOW - seconds * 1000), until: millis(NOW) });

describe('URL', () => {
  const roundTrip = (s: State): State => {
    const url = new URL(toUrl(s), 'http://x/');
    return fromUrl(url.search, url.hash);
  };

  test('every part of the state is preserved in the URL', () => {
    const s: State = {
      type: 'memory:inuse_space:bytes:space:bytes',
      matchers: [{ name: 'service_name', op: '=', value: 'a b&c=d#e' }, { name: 'm', op: '!~', value: 'x"+%' }],
      range: { from: 'now-6h', until: '1700000000000' },
      pick: { from: millis(1_700_000_000_000), until: millis(1_700_000_060_000) },
      invalidSelector: '', by: ['member', 'op'], view: 'flame', zoom: ['member=api', 'a::b<c & d>', '#?=;'],
      search: '^a+b(c|d) #', colour: 'value', order: 'name', growth: 'up', fold: false, plot: 'lines', live: 15,
    };
    expect(roundTrip(s)).toEqual(s);
  });

  test('defaults are left out of the URL', () => {
    expect(toUrl(DEFAULTS)).toBe('');
    expect(fromUrl('', '')).toEqual(DEFAULTS);
  });

  test('no grouping is distinguished from the default grouping', () => {
    expect(roundTrip({ ...DEFAULTS, by: [] }).by).toEqual([]);
    expect(roundTrip(DEFAULTS).by).toBeNull();
  });

  test('invalid parts of a URL fall back to their defaults', () => {
    expect(fromUrl('?view=x&order=&live=7&selector={a&pick=9-3&colour=red', '#%E0%A4%A')).toMatchObject({
      view: 'both', order: 'heavy', live: 0, matchers: [], pick: null, colour: null,
    });
  });

  test('an invalid selector is kept unchanged', () => {
    expect(fromUrl('?selector=foo', '')).toMatchObject({ matchers: [], invalidSelector: 'foo' });
    expect(roundTrip({ ...DEFAULTS, invalidSelector: '{a="b"' }).invalidSelector).toBe('{a="b"');
    expect(fromUrl('?selector={a%3D"b"}', '').invalidSelector).toBe('');
  });

  test('the zoom is in the fragment, which is not sent to the server', () => {
    expect(toUrl({ ...DEFAULTS, zoom: ['a'] })).toBe('#z=a');
  });
});

describe('empty state', () => {
  const situation: Situation = {
    invalidSelector: '', service: 'shop', type: 'memory:inuse_space:bytes:space:bytes', filtered: true,
    services: ['davy', 'shop'], matching: null, types: ['process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'memory:inuse_space:bytes:space:bytes'],
  };
  const check = (patch: Partial<Situation>, reason: EmptyReason): void => expect(emptyReason({ ...situation, ...patch })).toBe(reason);

  test('names its reason', () => {
    check({}, 'unsampled');
    check({ filtered: false }, 'match');
    check({ type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds' }, 'match');
    check({ type: 'wall:wall:nanoseconds:wall:nanoseconds' }, 'type');
    check({ service: 'nope', types: [] }, 'service');
    check({ services: [], types: [] }, 'nothing');
    check({ invalidSelector: 'foo', services: [] }, 'selector');
  });

  test('several matching services are not merged', () => {
    check({ service: null, matching: ['davy', 'shop'] }, 'services');
    check({ service: null, matching: ['davy'], filtered: false }, 'match');
    check({ service: null, matching: null, filtered: false }, 'match');
  });
});

describe('range', () => {
  test('a chosen range is in the URL even if it equals the default', () => {
    expect(toUrl({ ...DEFAULTS, range: { from: 'now-1h', until: 'now' } })).toBe('?from=now-1h');
    expect(toUrl({ ...DEFAULTS, range: FRESH_RANGE })).toBe('');
    expect(fromUrl('', '').range).toBe(DEFAULT_RANGE);
    expect(isChosen(fromUrl('?from=now-1h', '').range)).toBe(true);
  });

  test('a timeline is fresh if all of its points are in the last 15 minutes', () => {
    const ago = (...minutes: number[]) => [{ points: minutes.map((m): [number, number] => [NOW - m * 60_000, 1]) }];
    expect(isFresh(ago(14, 3), NOW)).toBe(true);
    expect(isFresh([...ago(14, 3), ...ago(16)], NOW)).toBe(false);
    expect(isFresh([], NOW)).toBe(false);
    expect(isFresh(ago(), NOW)).toBe(false);
  });

  test('an empty range is invalid', () => {
    expect(resolve({ from: 'now', until: 'now' }, NOW)).toBeNull();
    expect(resolve({ from: 'now-1h', until: 'now' }, NOW)).toEqual(span(3600));
  });

  test('steps are multiples of a window and give at most 300 points', () => {
    for (const seconds of [60, 900, 3600, 6 * 3600, 86_400, 7 * 86_400, 731 * 86_400]) {
      const step = stepFor(span(seconds));
      expect(step % 10).toBe(0);
      expect(seconds / step).toBeLessThanOrEqual(300);
    }
    expect(stepFor(span(60))).toBe(10);
  });

  test('zooming out doubles the range but does not extend past now', () => {
    const wide = widened(span(3600), NOW);
    expect(wide.until).toBe(NOW);
    expect(wide.until - wide.from).toBe(7200_000);
  });
});

describe('effective range', () => {
  const asked = { from: millis(1_000.4), until: millis(2_000) };
  const of = (from: number, until: number, range = { from: 1_000, until: 2_000 }) => effectiveRange({ ...range, effective: { from, until } }, asked);

  test('it is stated only where it is wider than the range that was asked for', () => {
    expect(of(1_000, 2_000)).toBeNull();
    expect(of(0, 2_000)).toEqual({ from: 0, until: 2_000 });
    expect(of(1_000, 3_000)).toEqual({ from: 1_000, until: 3_000 });
    expect(of(0, 3_000)).toEqual({ from: 0, until: 3_000 });
  });

  test('a response to another query says nothing about this one', () => {
    expect(of(0, 3_000, { from: 5_000, until: 6_000 })).toBeNull();
  });

  test('it is written with its length', () => {
    const day = new Date(2026, 2, 1).getTime();
    expect(rangeText({ from: millis(day), until: millis(day + 86_400_000) }, 0)).toBe('2026-03-01 00:00 – 2026-03-02 00:00 (1 d)');
  });
});

describe('timeline', () => {
  const answer = (series: SeriesAnswer['series'], from = 0, until = 40_000): SeriesAnswer => ({
    type: 't', unit: 'count', step_ms: 10_000, from, until, partial: [], series,
  });

  test('a time bucket without data is a gap in every series', () => {
    const { times, lines } = shape(answer([
      { labels: { member: 'a' }, points: [[0, 5], [30_000, 7]] },
      { labels: { member: 'b' }, points: [[0, 1], [10_000, 2], [30_000, 3]] },
    ]), ['member'], true);
    expect(times).toEqual([0, 10_000, 20_000, 30_000]);
    expect(lines.map((l) => l.values)).toEqual([[5, 0, null, 7], [1, 2, null, 3]]);
    expect(stackedTops(lines)).toEqual([[5, 0, null, 7], [6, 2, null, 10]]);
  });

  test('missing data of one series is a gap in the lines style', () => {
    const { lines } = shape(answer([
      { labels: { member: 'a' }, points: [[0, 5]] },
      { labels: { member: 'b' }, points: [[10_000, 2]] },
    ]), ['member'], false);
    expect(lines[0].values).toEqual([5, null, null, null]);
  });

  test('series beyond the largest eight are summed into one with their number', () => {
    const { lines } = shape(answer(
      Array.from({ length: 12 }, (_, i) => ({ labels: { member: `m${i}` }, points: [[0, 12 - i]] as [number, number][] })),
    ), ['member'], true);
    expect(lines.map((l) => l.name)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', '4 more']);
    expect(lines[8]).toMatchObject({ rest: true, sum: 4 + 3 + 2 + 1 });
  });

  test('nine series are shown individually', () => {
    const { lines } = shape(answer(
      Array.from({ length: 9 }, (_, i) => ({ labels: { member: `m${i}` }, points: [[0, 1]] as [number, number][] })),
    ), ['member'], true);
    expect(lines.every((l) => !l.rest)).toBe(true);
  });

  test('series without the label are named untagged', () => {
    const { lines } = shape(answer([{ labels: { member: '' }, points: [[0, 1]] }, { labels: {}, points: [[0, 1]] }]), ['member', 'op'], true);
    expect(lines[0]).toMatchObject({ name: '(untagged) · (untagged)', group: '(untagged)' });
  });

  test('time buckets that are not aligned to the step are kept', () => {
    const { times, lines } = shape(answer([{ labels: {}, points: [[3_000, 1], [13_000, 2]] }], 3_000, 23_000), [], true);
    expect(times).toContain(3_000);
    expect(lines[0].values.filter((v) => v !== null)).toEqual([1, 2]);
  });

  test('no data makes an empty timeline', () => {
    expect(shape(answer([]), [], true).lines).toEqual([]);
  });
});
