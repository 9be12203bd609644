import { describe, expect, test } from 'vitest';
import { compile, matchNames, matchesBefore } from '../logic/search';
import { fraction, px } from '../logic/units';
import { WHOLE, rebased, clamp, edges, zoomAbout } from '../render/camera';
import { hiddenText, paint } from '../render/paint';
import { SvgContext } from '../render/svg';
import { DIMMED, Plan } from '../render/plan';
import { SHOP, tree } from './fixtures';

const shop = tree(SHOP);
const { names } = shop.frames;

function plan(t: typeof shop, width: number, window: Partial<{ from: number; until: number; lastRow: number }> = {}, search = ''): Plan {
  const p = new Plan();
  const query = compile(search);
  const hit = query && matchNames(t.frames.names, query);
  p.build(t.tree, new Uint8Array(t.tree.n), hit && { hit, before: matchesBefore(t.tree, hit) }, {
    from: 0, until: t.tree.sum[0], firstRow: 0, lastRow: 99, width, ...window,
  });
  return p;
}
const list = (r: Plan['rects'], t = shop): string[] =>
  Array.from({ length: r.length }, (_, i) => `${r.node[i] < 0 ? 'narrow' : t.frames.names[t.tree.frame[r.node[i]]]} ${r.x[i]}+${r.w[i]} row ${r.row[i]}`);

/** The texts that are painted. */
function texts(canLoad: boolean): string[] {
  const ctx = new SvgContext(4800, 200, (text) => ({ width: 7 * text.length }));
  const skin = { palette: { fill: Array<string>(300).fill('#ccc'), ink: Array<string>(300).fill('#000') }, background: '#fff', dimFill: '', dimInk: '', hatch: '', hatchInk: '', mark: '' };
  paint(plan(shop, 4800), shop.tree, shop.frames, skin, { ctx: ctx as never, width: 4800, height: 200, dpr: 1, rowTop: (row) => 18 * row }, { canLoad });
  return [...ctx.text('').matchAll(/<text[^>]*>([^<]*)/g)].map(([, text]) => text);
}

describe('texts', () => {
  test('undrawn frames are offered only where a click loads them', () => {
    const said = (canLoad: boolean): string[] => texts(canLoad).filter((text) => text.includes('not drawn'));
    expect(said(false)).toEqual(['3 children, 13.3%, not drawn']);
    expect(said(true)).toEqual(['3 children, 13.3%, not drawn – click to load']);
  });
});

describe('plan', () => {
  test('frames are placed by their value', () => {
    expect(list(plan(shop, 600).rects)).toEqual([
      'total 0+600 row 0', 'member=api 0+500 row 1', 'serve 0+470 row 2', 'parse 0+150 row 3',
      'parse 0+50 row 4', 'query 150+280 row 3', 'idle 470+20 row 2', 'member=gc 500+100 row 1',
      'mark 500+100 row 2', 'query 500+40 row 3',
    ]);
  });

  test('subtrees outside of the view are not visited', () => {
    const p = plan(shop, 100, { from: 50, until: 60 });
    expect(list(p.rects)).toEqual(['total 0+100 row 0', 'member=gc 0+100 row 1', 'mark 0+100 row 2', 'query 0+40 row 3']);
    expect(p.visited).toBe(5);
  });

  test('rows out of view are not drawn', () => {
    expect(list(plan(shop, 600, { lastRow: 1 }).rects)).toHaveLength(3);
  });

  test('adjacent frames narrower than a pixel are merged into one rectangle', () => {
    const many = tree(`total 0\n${Array.from({ length: 5000 }, (_, i) => `  f${i} 1`).join('\n')}`);
    const p = plan(many, 100);
    expect(list(p.rects, many)).toEqual(['total 0+100 row 0', 'narrow 0+100 row 1']);
  });

  test('a match in a frame too narrow to draw is marked with one pixel', () => {
    const many = tree(`total 0\n${Array.from({ length: 5000 }, (_, i) => `  f${i} 1\n    ${i === 4321 ? 'needle' : 'hay'} 1`).join('\n')}`);
    const p = plan(many, 100, {}, 'needle');
    expect(list(p.marks, many)).toEqual(['f4321 86+1 row 1']);
    expect(p.rects.colour[p.rects.length - 1]).toBe(DIMMED);
  });

  test('neighbouring matches too narrow to draw are one mark', () => {
    const many = tree(`total 0\n${Array.from({ length: 5000 }, (_, i) => `  ${(i >= 1000 && i < 1500) || i > 4990 ? 'needle' : 'hay'}${i} 1`).join('\n')}`);
    expect(list(plan(many, 100, {}, 'needle').marks, many)).toEqual(['needle1000 20+10 row 1', 'needle4991 99+1 row 1']);
  });

  test('matching frames are marked over their width and others dimmed', () => {
    const p = plan(shop, 600, {}, 'query');
    expect(list(p.marks)).toEqual(['query 150+280 row 3', 'query 500+40 row 3']);
    expect(p.rects.colour[0]).toBe(DIMMED);
  });

  test('undrawn children are hatched one row below with their number and share', () => {
    const p = plan(shop, 600);
    const query = p.hatched.node[0];
    expect(list(p.hatched)).toEqual(['query 150+80 row 4']);
    expect(hiddenText(shop.tree, query)).toBe('3 children, 13.3%, not drawn');
  });

  test('an empty profile draws nothing', () => {
    expect(plan(tree('total 0'), 600).rects.length).toBe(0);
  });
});

describe('camera', () => {
  test('zooming keeps the point under the pointer fixed', () => {
    const c = zoomAbout(WHOLE, 0.5, 0.25);
    expect([c.left, c.right]).toEqual([0.125, 0.625]);
    expect(zoomAbout(c, 2, 0.25)).toMatchObject({ left: 0, right: 1 });
  });

  test('the view is clamped to the profile', () => {
    expect(clamp({ left: fraction(-1), right: fraction(-0.5), top: px(-9) }, 100, 50)).toEqual({ left: 0, right: 0.5, top: 0 });
    expect(clamp({ left: fraction(0.9), right: fraction(1.4), top: px(900) }, 100, 50)).toMatchObject({ right: 1, top: 50 });
    expect(clamp({ left: fraction(0), right: fraction(9), top: px(0) }, 10, 50)).toEqual(WHOLE);
  });

  test('a refresh keeps the view at the same position within the zoomed frame', () => {
    const before = { left: fraction(0.2), right: fraction(0.4) };
    const after = { left: fraction(0.5), right: fraction(0.9) };
    const c = rebased({ left: fraction(0.25), right: fraction(0.3), top: px(36) }, before, after);
    expect(c.left).toBeCloseTo(0.6);
    expect(c.right).toBeCloseTo(0.7);
    expect(c.top).toBe(36);
  });

  test('the edges of a frame are fractions of the profile', () => {
    const gc = Array.from(shop.tree.frame).findIndex((f) => names[f] === 'member=gc');
    expect(edges(shop.tree, gc as Parameters<typeof edges>[1])).toEqual({ left: 50 / 60, right: 1 });
  });
});
