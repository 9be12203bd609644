// Reader of flame graphs that were drawn as SVG: Davy's, inferno's and those of flamegraph.pl, whose boxes have their values
// in titles. Boxes too narrow to be drawn count for their callers.

import { FileError, type LocalProfile, type Stacks } from './profile';

interface Box {
  name: string;
  value: number;
  y: number;
  x: number;
  width: number;
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const plain = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (all, decimal, hex, name) =>
    decimal !== undefined || hex !== undefined ? String.fromCodePoint(decimal !== undefined ? Number(decimal) : Number.parseInt(hex, 16)) : (ENTITIES[name] ?? all));

const BOX = /<title>([^<]*)<\/title>\s*<rect\b([^>]*)>/g;
/** `name (1,234 samples, 12.34%)`; the root has no share in some. */
const TITLE = /^([^]*) \(([\d,.]+) ?([^\s,]*)[^()]*\)$/;

export const isSvg = (text: string): boolean => /<svg[\s>]/.test(text.slice(0, 4096)) || (/^\s*<!doctype html/i.test(text) && text.includes('<svg'));

export function readDrawing(text: string): LocalProfile {
  const boxes: Box[] = [];
  let unit = '';
  for (const [, title, attributes] of text.matchAll(BOX)) {
    const [, name, value, of] = TITLE.exec(plain(title)) ?? [];
    if (value === undefined) continue;
    const attribute = (key: string): number => Number.parseFloat(new RegExp(`(?:^|\\s)${key}="([^"]*)"`).exec(attributes)?.[1] ?? 'NaN');
    const [x, width] = [attribute('fg:x'), attribute('fg:w')].some(Number.isNaN) ? [attribute('x'), attribute('width')] : [attribute('fg:x'), attribute('fg:w')];
    const box = { name, value: Number(value.replaceAll(',', '')), y: attribute('y'), x, width };
    if (Object.values(box).some(Number.isNaN)) continue;
    boxes.push(box);
    unit ||= of;
  }
  const root = boxes.reduce((widest: Box | null, box) => (widest === null || box.value > widest.value || (box.value === widest.value && box.name === 'all') ? box : widest), null);
  if (root === null) throw new FileError('the SVG has no boxes of a flame graph with values in their titles');
  // Rows have the same distance; the root is at either edge.
  const isUp = boxes.some(({ y }) => y < root.y);
  const rows = [...new Set(boxes.map(({ y }) => y))].sort((a, b) => (isUp ? b - a : a - b));
  const level = new Map(rows.map((y, i) => [y, i]));
  const slack = root.width * 1e-6 + (text.includes('fg:w=') ? 0 : 0.11);
  boxes.sort((a, b) => level.get(a.y)! - level.get(b.y)! || a.x - b.x);
  return {
    format: 'flame graph as SVG',
    kinds: [{ label: 'flame graph', unit: { samples: 'count', s: 'seconds', ms: 'milliseconds', us: 'microseconds', ns: 'nanoseconds', B: 'bytes', KiB: 'kib', MiB: 'mib', GiB: 'gib' }[unit] ?? unit }],
    write(_kind: number, stacks: Stacks): void {
      // The boxes of the row above, from left to right, with their nodes and what their callees leave of their values.
      let above: { box: Box; node: number; left: number }[] = [];
      let row: typeof above = [];
      let at = 0;
      const finish = (): void => {
        for (const { node, left } of above) stacks.add(node, left > 1e-9 ? left : 0);
        above = row;
        row = [];
      };
      let last = -1;
      for (const box of boxes) {
        const depth = level.get(box.y)!;
        if (depth !== last) {
          if (last >= 0) finish();
          [last, at] = [depth, 0];
        }
        if (depth === 0) {
          if (box === root) row.push({ box, node: 0, left: box.value });
          continue;
        }
        while (at < above.length && above[at].box.x + above[at].box.width <= box.x + slack) at++;
        const parent = above[at];
        if (parent === undefined || parent.box.x > box.x + slack) continue;
        parent.left -= box.value;
        row.push({ box, node: stacks.child(parent.node, stacks.frame(box.name)), left: box.value });
      }
      finish();
      finish();
    },
  };
}
