import { describe, expect, test } from 'vitest';
import { effectiveRange } from '../logic/effective';
import { type EmptyReason, type Situation, emptyReason } from '../logic/emptystate';
import { DEFAULT_RANGE, FRESH_RANGE, isChosen, isFresh, resolve, showing, widened } from '../logic/range';
import { millis } from '../logic/units';
import { exactly } from '../logic/search';
import { DEFAULTS, type State, fromUrl, pinned, toUrl } from '../logic/urlstate';
import { shortPath } from '../logic/zoompath';

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
      invalidSelector: '', by: ['member', 'op'], view: 'flame', zoom: shortPath(['member=api', 'a::b<c & d>', 'x\t2']), allocators: true,
      search: '^a+b(c|d) #', colour: 'value', order: 'name', growth: 'up', fold: false, plot: 'lines', live: 15, capture: '01M8NCD8GZJBMR3XS8XFH4EJB0',
      lines: true, fn: 'a::b<c>', transforms: [{ kind: 'focus', pattern: '^a(b|c)~$' }, { kind: 'ignore', pattern: 'x&y' }, { kind: 'hide', pattern: '^z' }, { kind: 'mine' }, { kind: 'collapse' }, { kind: 'invert' }],
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
    expect(toUrl({ ...DEFAULTS, zoom: shortPath(['a', 'b']) })).toMatch(/^#zoom=[\w-]{4}\.[\w-]{4}$/);
  });

  test('links of earlier versions, with names in the fragment, still zoom', () => {
    expect(fromUrl('', '#z=member%3Dapi&z=poll%091').zoom).toEqual(shortPath(['member=api', 'poll\t1']));
    expect(fromUrl('', '#zoom=<script>').zoom).toEqual([]);
  });

  test('a URL is short whatever the depth of the zoom and the length of names and searches', () => {
    const deep = Array.from({ length: 5_000 }, (_, i) => `${'x'.repeat(1000)}${i}`);
    for (const zoom of [shortPath(deep), shortPath(deep.slice(0, 200))]) {
      expect(toUrl({ ...DEFAULTS, matchers: [{ name: 'service_name', op: '=', value: 'davy' }], zoom, search: exactly('(' .repeat(65_536)) }).length).toBeLessThan(2_000);
    }
  });

  test('a pinned link has an absolute range and the grouping that is shown', () => {
    const url = toUrl(pinned({ ...DEFAULTS, live: 15, range: { from: 'now-1h', until: 'now' } }, span(3600), ['member']));
    expect(url).toBe(`?from=${NOW - 3600_000}&until=${NOW}&by=member`);
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

  test('a selected part that the range has left behind moves the range', () => {
    const range = span(3600);
    const part = (from: number, until: number) => ({ from: millis(NOW + from * 1000), until: millis(NOW + until * 1000) });
    expect(showing(range, null)).toBe(range);
    expect(showing(range, part(-600, -300))).toBe(range);
    const left = showing(range, part(-5400, -4800));
    expect(left.from).toBeLessThan(part(-5400, 0).from);
    expect(left.until - left.from).toBe(3600_000);
    const long = showing(range, part(-9000, -1000));
    expect([long.from < part(-9000, 0).from, long.until > part(0, -1000).until]).toEqual([true, true]);
    const right = showing(range, part(60, 120));
    expect(right.until).toBeGreaterThan(part(0, 120).until);
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
});
