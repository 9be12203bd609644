import { describe, expect, test } from 'vitest';
import { DIVERGING, DIVERGING_AT, palette } from '../logic/colours';
import { diffColours } from '../logic/compare/colour';
import { type RawDiff, readDiff, scaled } from '../logic/compare/diff';
import { rankOf, sortRank } from '../logic/compare/rank';
import { COMPARE_DEFAULTS, type CompareState, fromCompareUrl, inOrder, timeLinks, toCompareUrl, valuesLink } from '../logic/compare/urlstate';
import { join } from '../logic/compare/join';
import { caution, changeText, deltaText, fitting, summary } from '../logic/compare/words';
import { FrameKind } from '../logic/decode';
import { convert } from '../logic/format';
import { layout } from '../logic/layout';
import { millis } from '../logic/units';
import * as comparison from '../worker/comparison';
import { Engine } from '../worker/engine';
import { tree } from './fixtures';
import { distance } from './ciede2000';

const HOUR = 3_600_000;

interface Node { name: string; self: number; total: number; base_self: number; base_total: number; children: Node[] }

/** Each line is `name now base`: self values of both sides, indented by two spaces per level. */
function response(drawing: string, { base = HOUR, aggregation = 'sum', by = [] as string[] } = {}): string {
  const root: Node = { name: 'total', self: 0, total: 0, base_self: 0, base_total: 0, children: [] };
  const path: Node[] = [root];
  for (const line of drawing.split('\n').filter((l) => l.trim() !== '')) {
    const [, indent, name, now, was] = /^( *)(.+) (\d+) (\d+)$/.exec(line)!;
    const node: Node = { name, self: Number(now), total: 0, base_self: Number(was), base_total: 0, children: [] };
    const depth = indent.length / 2;
    path.length = depth + 1;
    path[depth].children.push(node);
    path.push(node);
  }
  const add = (node: Node): void => {
    node.children.forEach(add);
    node.total = node.children.reduce((sum, kid) => sum + kid.total, node.self);
    node.base_total = node.children.reduce((sum, kid) => sum + kid.base_total, node.base_self);
  };
  add(root);
  const side = { selector: '{service_name="x"}', partial: [], windows: 3 };
  return JSON.stringify({
    meta: {
      type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', unit: 'nanoseconds', by, aggregation, from: 10 * HOUR, until: 11 * HOUR, ...side,
      base: { from: 0, until: base, ...side },
    },
    tree: root,
  });
}

const SHOP = `
main 0 0
  parse 10 10
    regex 30 0
  query 20 40
  flush 0 10
`;

/** The tree as text: `name now base @left +width`. */
function drawn(raw: RawDiff, scale: 'value' | 'rate' | 'share'): string[] {
  const { decoded, sides } = scaled(raw, scale);
  const tree = layout(decoded.columns);
  const round = (x: number): number => Number(x.toPrecision(4));
  return Array.from({ length: tree.n }, (_, i) =>
    `${'  '.repeat(tree.depth[i])}${decoded.frames.names[tree.frame[i]]} ${round(sides.now[i])} ${round(sides.base[i])} @${round(tree.start[i])} +${round(tree.sum[i])}`);
}

describe('difference', () => {
  test('the width of a frame is the mean of both sides, and removed frames stay visible', () => {
    expect(drawn(readDiff(response(SHOP)), 'value')).toEqual([
      'total 60 60 @0 +60',
      '  main 60 60 @0 +60',
      '    query 20 40 @0 +30',
      '    parse 40 10 @30 +25',
      '      regex 30 0 @30 +15',
      '    flush 0 10 @55 +5',
    ]);
  });

  test('shares compare each side with its own total', () => {
    const twice = 'main 0 0\n  a 20 10\n  b 20 10';
    expect(drawn(readDiff(response(twice)), 'share').slice(2)).toEqual(['    a 0.5 0.5 @0 +0.5', '    b 0.5 0.5 @0.5 +0.5']);
  });

  test('rates divide by the length of each range', () => {
    const raw = readDiff(response('main 10 20', { base: 2 * HOUR }));
    expect(drawn(raw, 'rate')[0]).toBe('total 0.002778 0.002778 @0 +0.002778');
    expect(caution(raw, 'value')).toBe('The ranges have different lengths, 1 h and 2 h: compare per second or by share.');
    expect(caution(raw, 'rate')).toBe('');
    expect(caution(readDiff(response('main 10 20', { base: 2 * HOUR, aggregation: 'average' })), 'value')).toBe('');
  });

  test('what the server left out is undrawn, not lost', () => {
    const doc = JSON.parse(response(SHOP)) as { tree: Node };
    doc.tree.children[0].children = doc.tree.children[0].children.filter(({ name }) => name !== 'flush');
    const { decoded } = scaled(readDiff(JSON.stringify(doc)), 'value');
    expect(Array.from(decoded.columns.hidden)).toEqual([0, 5, 0, 0, 0]);
  });

  test('an empty side and a deep stack are read', () => {
    expect(drawn(readDiff(response('main 5 0')), 'share')).toEqual(['total 1 0 @0 +0.5', '  main 1 0 @0 +0.5']);
    const levels = 20_000;
    const deep = `{"meta":{"by":[]},"tree":${'{"name":"f","self":0,"total":1,"base_self":0,"base_total":1,"children":['.repeat(levels)}${']}'.repeat(levels)}}`;
    expect(readDiff(deep).n).toBe(levels);
  });

  test('groups are recognised by the grouping of the query', () => {
    const raw = readDiff(response('member=api 0 0\n  member=x 1 1', { by: ['member'] }));
    expect([...raw.frame].map((f) => raw.frames.kinds[f])).toEqual([FrameKind.Function, FrameKind.Group, FrameKind.Function]);
  });

  test('a damaged response is an error in words', () => {
    for (const text of ['', '{', '{"meta":{}}', '{"meta":{},"tree":{"name":"x","self":1,"total":1,"base_self":0,"base_total":null,"children":[]}}']) {
      expect(() => readDiff(text), text).toThrow(/Invalid difference in the server's response/);
    }
  });
});

function comparing(): Engine {
  const engine = new Engine();
  engine.comparison = comparison;
  return engine;
}

describe('ranking', () => {
  const rows = (): ReturnType<typeof rankOf> => {
    const { decoded, sides } = scaled(readDiff(response(SHOP)), 'value');
    return rankOf(layout(decoded.columns), decoded.frames, sides);
  };
  const names = (key: Parameters<typeof sortRank>[1]): string[] => sortRank(rows(), key, key !== 'name').map((r) => r.name);

  test('the largest change in either direction comes first', () => {
    expect(names('delta')).toEqual(['parse', 'regex', 'query', 'flush', 'main']);
    expect(names('self')).toEqual(['regex', 'query', 'flush', 'main', 'parse']);
    expect(names('name')).toEqual(['flush', 'main', 'parse', 'query', 'regex']);
  });

  test('recursion counts once', () => {
    const { decoded, sides } = scaled(readDiff(response('f 1 1\n  f 2 0')), 'value');
    expect(rankOf(layout(decoded.columns), decoded.frames, sides)).toEqual([{ name: 'f', now: 3, base: 1, nowSelf: 3, baseSelf: 1 }]);
  });

  test('the worker gives the table of the zoomed frame', () => {
    const engine = comparing();
    engine.answer({ kind: 'diff', text: response(SHOP), scale: null, as: { order: 'heavy', fold: false, open: [] } });
    expect(engine.answer({ kind: 'rank', root: 3 })).toEqual([{ name: 'parse', now: 40, base: 10, nowSelf: 10, baseSelf: 10 }, { name: 'regex', now: 30, base: 0, nowSelf: 30, baseSelf: 0 }]);
  });

  test('ranges of different lengths are compared per second unless another scale is chosen', () => {
    const engine = comparing();
    const of = (scale: 'value' | null) => engine.answer({ kind: 'diff', text: response(SHOP, { base: 2 * HOUR }), scale, as: { order: 'heavy', fold: false, open: [] } });
    expect(of(null)).toMatchObject({ scale: 'rate' });
    expect(of('value')).toMatchObject({ scale: 'value' });
  });
});

describe('words', () => {
  const about = { type: 'memory:inuse_space:bytes:space:bytes', unit: 'bytes', aggregation: 'average' } as const;

  test('changes are said in words and numbers', () => {
    expect([[1, 0], [0, 1], [2, 2], [3, 2], [1, 2], [50, 2], [2, 2.0005]].map(([a, b]) => changeText(a, b))).toEqual(['new', 'gone', 'same', '+50.0%', '−50.0%', '×25.0', 'same']);
    expect(deltaText(3 * 1024 ** 2, 1024 ** 2, 'value', about)).toBe('+2.00 MiB');
    expect(deltaText(0.1, 0.25, 'share', about)).toBe('−15.0 points');
    expect(deltaText(1, 1, 'value', about)).toBe('±0');
  });

  test('the totals of both sides are one sentence', () => {
    const of = (drawing: string, scale: 'value' | 'share' = 'value'): string => summary(readDiff(response(drawing)), scale);
    expect(of('main 2000000000 1000000000')).toBe('CPU: 2.00 s, +1.00 s (+100%) compared with 1.00 s in the base.');
    expect(of('main 1000 1000')).toBe('CPU: 1.00 us, the same as 1.00 us in the base.');
    expect(of('main 1000 0')).toBe('CPU: 1.00 us; the base has no samples.');
    expect(of('main 0 0')).toBe('CPU: no samples on either side.');
    expect(of('main 2000 1000', 'share')).toMatch(/by their share of each total\.$/);
  });

  test('colours go from gone to new and differ for people without red or green cones', () => {
    const colour = (now: number, base: number): number => diffColours({ now: Float64Array.of(now), base: Float64Array.of(base) })[0] - DIVERGING_AT;
    expect([[0, 1], [1, 9], [5, 6], [1, 1], [6, 5], [9, 1], [1, 0]].map(([a, b]) => colour(a, b))).toEqual([0, 1, 4, 5, 6, 9, 10]);
    for (const vision of ['normal', 'protan', 'deutan'] as const) expect(distance(DIVERGING[1], DIVERGING[9], vision)).toBeGreaterThan(30);
    expect(palette('dark').fill[DIVERGING_AT]).toBe(DIVERGING[0]);
  });
});

describe('the URL of Compare', () => {
  test('every part of the state is preserved', () => {
    const s: CompareState = {
      type: 'cpu', now: { selector: '{a="b"}', range: { from: '1', until: '2' } }, base: { selector: '{a="c"}', range: { from: 'now-1d', until: 'now' } },
      by: ['member', 'op'], scale: 'rate', search: 'x|y', zoom: ['AbCd', 'Ab-_*2'], sort: 'delta', view: 'table', allocators: true,
    };
    const url = new URL(toCompareUrl(s), 'http://x/compare');
    expect(fromCompareUrl(url.search, url.hash)).toEqual(s);
    expect(fromCompareUrl('', '')).toEqual(COMPARE_DEFAULTS);
  });

  const from = { type: 'cpu', matchers: [{ name: 'service_name', op: '=' as const, value: 'x' }], span: { from: millis(10 * 24 * HOUR), until: millis(10 * 24 * HOUR + HOUR) }, by: ['member'], allocators: false };
  const read = (href: string): CompareState => fromCompareUrl(new URL(href, 'http://x').search, '');

  test('Explore links to the same time yesterday and to two versions', () => {
    const yesterday = read(timeLinks(from)[1].href);
    expect(yesterday.base.range).toEqual({ from: String(9 * 24 * HOUR), until: String(9 * 24 * HOUR + HOUR) });
    const versions = read(valuesLink(from, 'version', '1.2', '1.1'));
    expect(versions).toMatchObject({ scale: 'share', by: ['member'], now: { selector: '{service_name="x",version="1.2"}' }, base: { selector: '{service_name="x",version="1.1"}' } });
    expect(read(valuesLink(from, 'member', 'api', '')).by).toEqual([]);
  });

  test('versions are in their natural order', () => {
    expect(inOrder(['1.10', '1.9', '1.2'])).toEqual(['1.2', '1.9', '1.10']);
  });
});

describe('sides that the page has', () => {
  const half = (drawing: string, unit: string, file: string) => {
    const decoded = tree(drawing);
    return { decoded: { ...decoded, meta: { ...decoded.meta, unit, by: [] } }, file };
  };

  test('trees are merged by name, and the base is converted to the unit of the other side', () => {
    const raw = join(half('total 0\n  main 1000\n    f 2000\n    f 1000\n  a 500', 'microseconds', 'now.pb'), half('total 0\n  main 3\n    g 1', 'milliseconds', ''));
    const rows = Array.from(raw.frame, (f, i) => `${raw.frames.names[f]} ${raw.values.now[i]} ${raw.values.base[i]} self ${raw.values.nowSelf[i]} ${raw.values.baseSelf[i]}`);
    expect(rows.sort()).toEqual(['a 500 0 self 500 0', 'f 3000 0 self 3000 0', 'g 0 1000 self 0 1000', 'main 4000 4000 self 1000 3000', 'total 4500 4000 self 0 0']);
    expect([raw.unit, raw.now.file, raw.base.file, fitting(raw)]).toEqual(['microseconds', 'now.pb', '', 'share']);
    expect(caution(raw, 'value')).toMatch(/Compare by share/);
  });

  test('units of different kinds cannot be compared', () => {
    expect(() => join(half('total 1', 'bytes', 'a'), half('total 1', 'count', 'b'))).toThrow(/one is in bytes, the other in count/);
    expect([convert('objects', 'objects'), convert('objects', 'bytes'), convert('kb', 'bytes'), convert('count', '')]).toEqual([1, null, 1024, 1]);
  });
});
