// Small trees, written as one line per node, indented by depth.

import { encode } from '../../fixture/encode.mjs';
import { type Decoded, decode } from '../logic/decode';
import { type Tree, layout } from '../logic/layout';

export const META = {
  type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', unit: 'nanoseconds', from: 1, until: 2,
  selector: '{service_name="x"}', by: ['member'], partial: ['one window is missing'], windows: 7,
};

/** The metadata as decoded from a server that does not say how windows are combined. */
export const DECODED_META = { ...META, effective: { from: 1, until: 2 }, aggregation: null, aggregationSource: '' };

/** Each line is `name self [+hidden/children]`, indented by two spaces per level. */
export function binary(drawing: string): ArrayBuffer {
  const frames: { name: string; file: string; line: number; kind: number }[] = [];
  const nodes = drawing.split('\n').filter((l) => l.trim() !== '').map((line) => {
    const [, indent, name, self, hidden, kids] = /^( *)(\S+) (\d+)(?: \+(\d+)\/(\d+))?$/.exec(line)!;
    let frame = frames.findIndex((f) => f.name === name);
    if (frame < 0) {
      frame = frames.length;
      frames.push({ name, file: name === 'total' ? '' : `${name}.rs`, line: frame, kind: name.includes('=') ? 1 : 0 });
    }
    return { self: Number(self), hidden: Number(hidden ?? 0), hiddenChildren: Number(kids ?? 0), frame, depth: indent.length / 2 };
  });
  return encode({ nodes, frames, meta: META });
}

export function tree(drawing: string): Decoded & { tree: Tree } {
  const decoded = decode(binary(drawing));
  return { ...decoded, tree: layout(decoded.columns) };
}

/** The tree in the same notation, with totals and left edges. */
export function drawn(t: Tree, names: string[]): string[] {
  return Array.from({ length: t.n }, (_, i) => `${'  '.repeat(t.depth[i])}${names[t.frame[i]]} ${t.sum[i]} @${t.start[i]}`);
}

export const SHOP = `
total 0
  member=api 1
    serve 4
      parse 10
        parse 5
      query 20 +8/3
    idle 2
  member=gc 0
    mark 6
      query 4
`;
