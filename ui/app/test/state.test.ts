import { describe, expect, test } from 'vitest';
import { DEFAULT_RANGE, FRESH_RANGE, isChosen, isFresh, parseInstant, resolve, stepFor, widened } from '../logic/range';
import { whyEmpty } from '../logic/emptiness';
import { type SeriesAnswer, piled, shape } from '../logic/timeline';
import { millis } from '../logic/units';
import { DEFAULTS, type State, fromUrl, toUrl } from '../logic/urlstate';

const NOW = Date.UTC(2026, 2, 1, 12, 0, 0);
const span = (seconds: number) => ({ from: millis(NOW - seconds * 1000), until: millis(NOW) });

describe('address', () => {
  const back = (s: State): State => {
    const url = new URL(toUrl(s), 'http://x/');
    return fromUrl(url.search, url.hash);
  };

  test('every part of the state survives the address', () => {
    const s: State = {
      type: 'memory:inuse_space:bytes:space:bytes',
      matchers: [{ name: 'service_name', op: '=', value: 'a b&c=d#e' }, { name: 'm', op: '!~', value: 'x"+%' }],
      range: { from: 'now-6h', until: '1700000000000' },
      pick: { from: millis(1_700_000_000_000), until: millis(1_700_000_060_000) },
      unread: '', by: ['member', 'op'], view: 'flame', zoom: ['member=api', 'a::b<c & d>', '#?=;'],
      search: '^a+b(c|d) #', colour: 'value', order: 'name', growth: 'up', fold: false, plot: 'lines', live: 15,
    };
    expect(back(s)).toEqual(s);
  });

  test('defaults are left out, so a fresh page has a bare address', () => {
    expect(toUrl(DEFAULTS)).toBe('');
    expect(fromUrl('', '')).toEqual(DEFAULTS);
  });

  test('grouping by nothing is not the same as the default grouping', () => {
    expect(back({ ...DEFAULTS, by: [] }).by).toEqual([]);
    expect(back(DEFAULTS).by).toBeNull();
  });

  test('what an address has wrong falls back, and does not break the page', () => {
    expect(fromUrl('?view=x&order=&live=7&selector={a&pick=9-3&colour=red', '#%E0%A4%A')).toMatchObject({
      view: 'both', order: 'heavy', live: 0, matchers: [], pick: null, colour: null,
    });
  });

  test('a selector that cannot be read is kept as it stands, to be shown', () => {
    expect(fromUrl('?selector=foo', '')).toMatchObject({ matchers: [], unread: 'foo' });
    expect(back({ ...DEFAULTS, unread: '{a="b"' }).unread).toBe('{a="b"');
    expect(fromUrl('?selector={a%3D"b"}', '').unread).toBe('');
  });

  test('the zoom stays out of what is sent to a server', () => {
    expect(toUrl({ ...DEFAULTS, zoom: ['a'] })).toBe('#z=a');
  });
});

describe('an empty answer', () => {
  const asked = {
    unread: '', service: 'shop', type: 'memory:inuse_space:bytes:space:bytes', filtered: true,
    services: ['davy', 'shop'], types: ['process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'memory:inuse_space:bytes:space:bytes'],
  };
  const check = (patch: Partial<typeof asked>, why: string): void => expect(whyEmpty({ ...asked, ...patch })).toBe(why);

  test('is told by its reason', () => {
    check({}, 'sampled');
    check({ filtered: false }, 'match');
    check({ type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds' }, 'match');
    check({ type: 'wall:wall:nanoseconds:wall:nanoseconds' }, 'type');
    check({ service: 'nope', types: [] }, 'service');
    check({ services: [], types: [] }, 'nothing');
    check({ unread: 'foo', services: [] }, 'selector');
  });
});

describe('range', () => {
  test('relative, numeric and written instants are read', () => {
    expect(parseInstant('now', NOW)).toBe(NOW);
    expect(parseInstant('now-90m', NOW)).toBe(NOW - 90 * 60_000);
    expect(parseInstant('1700000000000', NOW)).toBe(1_700_000_000_000);
    expect(parseInstant('2026-03-01T10:00:00Z', NOW)).toBe(Date.UTC(2026, 2, 1, 10));
    expect(parseInstant('2026-03-01 10:00', NOW)).not.toBeNull();
    expect(parseInstant('yesterday', NOW)).toBeNull();
    expect(parseInstant('2026-13-45', NOW)).toBeNull();
  });

  test('a range that was chosen is in the address, be it the default', () => {
    expect(toUrl({ ...DEFAULTS, range: { from: 'now-1h', until: 'now' } })).toBe('?from=now-1h');
    expect(toUrl({ ...DEFAULTS, range: FRESH_RANGE })).toBe('');
    expect(fromUrl('', '').range).toBe(DEFAULT_RANGE);
    expect(isChosen(fromUrl('?from=now-1h', '').range)).toBe(true);
  });

  test('a profile is fresh when all of it is of the last quarter of an hour', () => {
    const ago = (...minutes: number[]) => [{ points: minutes.map((m): [number, number] => [NOW - m * 60_000, 1]) }];
    expect(isFresh(ago(14, 3), NOW)).toBe(true);
    expect(isFresh([...ago(14, 3), ...ago(16)], NOW)).toBe(false);
    expect(isFresh([], NOW)).toBe(false);
    expect(isFresh(ago(), NOW)).toBe(false);
  });

  test('an empty range is no range', () => {
    expect(resolve({ from: 'now', until: 'now' }, NOW)).toBeNull();
    expect(resolve({ from: 'now-1h', until: 'now' }, NOW)).toEqual(span(3600));
  });

  test('steps give some hundred points, are multiples of a window, and never too many', () => {
    for (const seconds of [60, 900, 3600, 6 * 3600, 86_400, 7 * 86_400, 731 * 86_400]) {
      const step = stepFor(span(seconds));
      expect(step % 10).toBe(0);
      expect(seconds / step).toBeLessThanOrEqual(300);
    }
    expect(stepFor(span(60))).toBe(10);
  });

  test('zooming out doubles the range and does not pass now', () => {
    const wide = widened(span(3600), NOW);
    expect(wide.until).toBe(NOW);
    expect(wide.until - wide.from).toBe(7200_000);
  });
});

describe('timeline', () => {
  const answer = (series: SeriesAnswer['series'], from = 0, until = 40_000): SeriesAnswer => ({
    type: 't', unit: 'count', step_ms: 10_000, from, until, partial: [], series,
  });

  test('a bucket in which nothing arrived is a gap in every line', () => {
    const { times, lines } = shape(answer([
      { labels: { member: 'a' }, points: [[0, 5], [30_000, 7]] },
      { labels: { member: 'b' }, points: [[0, 1], [10_000, 2], [30_000, 3]] },
    ]), ['member'], true);
    expect(times).toEqual([0, 10_000, 20_000, 30_000]);
    expect(lines.map((l) => l.values)).toEqual([[5, 0, null, 7], [1, 2, null, 3]]);
    expect(piled(lines)).toEqual([[5, 0, null, 7], [6, 2, null, 10]]);
  });

  test('as lines, what did not arrive is a gap and not a zero', () => {
    const { lines } = shape(answer([
      { labels: { member: 'a' }, points: [[0, 5]] },
      { labels: { member: 'b' }, points: [[10_000, 2]] },
    ]), ['member'], false);
    expect(lines[0].values).toEqual([5, null, null, null]);
  });

  test('the largest eight stand alone, and the others are one line that says how many they are', () => {
    const { lines } = shape(answer(
      Array.from({ length: 12 }, (_, i) => ({ labels: { member: `m${i}` }, points: [[0, 12 - i]] as [number, number][] })),
    ), ['member'], true);
    expect(lines.map((l) => l.name)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', '4 more']);
    expect(lines[8]).toMatchObject({ rest: true, sum: 4 + 3 + 2 + 1 });
  });

  test('nine lines are nine lines: "1 more" would hide a name for nothing', () => {
    const { lines } = shape(answer(
      Array.from({ length: 9 }, (_, i) => ({ labels: { member: `m${i}` }, points: [[0, 1]] as [number, number][] })),
    ), ['member'], true);
    expect(lines.every((l) => !l.rest)).toBe(true);
  });

  test('what has no tag is named so', () => {
    const { lines } = shape(answer([{ labels: { member: '' }, points: [[0, 1]] }, { labels: {}, points: [[0, 1]] }]), ['member', 'op'], true);
    expect(lines[0]).toMatchObject({ name: '(untagged) · (untagged)', group: '(untagged)' });
  });

  test('buckets that are not aligned to the step are followed', () => {
    const { times, lines } = shape(answer([{ labels: {}, points: [[3_000, 1], [13_000, 2]] }], 3_000, 23_000), [], true);
    expect(times).toContain(3_000);
    expect(lines[0].values.filter((v) => v !== null)).toEqual([1, 2]);
  });

  test('no data at all is an empty timeline', () => {
    expect(shape(answer([]), [], true).lines).toEqual([]);
  });
});
