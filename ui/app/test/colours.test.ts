import { describe, expect, test } from 'vitest';
import { DIVERGING_AT, GREY_INDEX, PALETTE_SIZE, assignHues, colourNodes, fillOf, hueIndex, luminance, palette } from '../logic/colours';
import { ciede2000, distance } from './ciede2000';
import { SHOP, tree } from './fixtures';

const shop = tree(SHOP);
const { names } = shop.frames;

describe('colours', () => {
  test('text has enough contrast on every fill of both themes', () => {
    for (const theme of ['light', 'dark'] as const) {
      const { fill, ink } = palette(theme);
      expect(fill).toHaveLength(PALETTE_SIZE);
      fill.forEach((f, i) => {
        const [a, b] = [luminance(f), luminance(ink[i])].sort((x, y) => y - x);
        expect((a + 0.05) / (b + 0.05), `${ink[i]} on ${f}`).toBeGreaterThan(4);
      });
    }
  });

  test('a hue depends on the name alone if no other value competes for it', () => {
    const t = (text: string) => {
      const x = tree(text);
      return [...colourNodes(x.tree, x.frames, 'group')].map((c) => Math.floor(c / 3));
    };
    const alone = t('total 0\n  member=worker 1')[1];
    expect(t('total 0\n  member=api 9\n  member=db 8\n  member=worker 1')[3]).toBe(alone);
    expect(alone).toBe(hueIndex('worker'));
    expect(fillOf(palette('light').fill, 'worker', 'worker', new Map())).toBe(palette('light').fill[alone * 3]);
  });

  test('the members of Davy have distinct hues', () => {
    const members = [
      'api', 'archive.arclamp', 'archive.compactor', 'archive.ingest', 'archive.query', 'archive.renderer', 'control',
      'database', 'debug', 'gc.audit', 'gc.processes', 'listener.archive', 'listener.http', 'profiler', 'ui',
    ];
    expect(new Set(members.map(hueIndex)).size).toBe(members.length);
  });

  test('untagged is grey', () => {
    expect(hueIndex('(untagged)')).toBe(GREY_INDEX);
  });

  test('colouring by group gives a subtree the hue of its group', () => {
    const hues = [...colourNodes(shop.tree, shop.frames, 'group')].map((c) => Math.floor(c / 3));
    expect(hues).toEqual([GREY_INDEX, ...Array(6).fill(hueIndex('api')), ...Array(3).fill(hueIndex('gc'))]);
  });

  test('colouring by package gives frames of a package one hue', () => {
    const t = tree('total 0\n  a::x 1\n    b::y 1\n      a::z 1');
    const [, x, , z] = [...colourNodes(t.tree, t.frames, 'package')].map((c) => Math.floor(c / 3));
    expect(x).toBe(z);
  });

  test('colouring by value gives the largest self value the brightest colour', () => {
    const c = colourNodes(shop.tree, shop.frames, 'value');
    expect(Math.max(...c)).toBe(DIVERGING_AT - 1);
    expect(names[shop.tree.frame[c.indexOf(DIVERGING_AT - 1)]]).toBe('query');
  });

  test('2 to 20 values on the screen have colours that differ, for people without red or green cones too', () => {
    const sets: string[][] = [
      ['1.1', '1.2'], ['v1', 'v2', 'v3'], Array.from({ length: 20 }, (_, i) => `1.${i}`),
      ...Array.from({ length: 60 }, (_, s) => Array.from({ length: 2 + (s % 19) }, (_, i) => `host-${s}-${i}`)),
    ];
    for (const theme of ['light', 'dark'] as const) {
      const { fill } = palette(theme);
      for (const values of sets) {
        const hues = assignHues(values);
        const fills = [...values.map((v) => fillOf(fill, v, v, hues)), fill[GREY_INDEX * 3]];
        fills.forEach((a, i) => fills.slice(0, i).forEach((b, j) => {
          expect(distance(a, b), `${values[i]} and ${values[j]}: ${a} ${b}`).toBeGreaterThan(10);
          for (const vision of ['protan', 'deutan'] as const) expect(distance(a, b, vision), `${vision} ${a} ${b}`).toBeGreaterThan(5);
        }));
      }
    }
  });

  test('the formula gives the published distances', () => {
    expect(ciede2000([50, 2.6772, -79.7751], [50, 0, -82.7485])).toBeCloseTo(2.0425, 4);
    expect(ciede2000([50, 2.5, 0], [73, 25, -18])).toBeCloseTo(27.1492, 4);
    expect(ciede2000([90.8027, -2.0831, 1.441], [91.1528, -1.6435, 0.0447])).toBeCloseTo(1.4441, 4);
  });

  test('more values than hues share them evenly', () => {
    const values = Array.from({ length: 50 }, (_, i) => `pod-${i}`);
    const counts = new Map<number, number>();
    for (const hue of assignHues(values).values()) counts.set(hue, (counts.get(hue) ?? 0) + 1);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(5);
    expect(counts.size).toBe(20);
  });

  test('assignment does not depend on the order of the values', () => {
    const values = Array.from({ length: 15 }, (_, i) => `m${i}`);
    expect([...assignHues(values)].sort()).toEqual([...assignHues(values.toReversed())].sort());
  });
});
