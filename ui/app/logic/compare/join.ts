// The difference of two trees that the page has, such as a local file and a profile of the server.

import { type Decoded, FrameKind } from '../decode';
import { convert } from '../format';
import { layout } from '../layout';
import { MergedTree } from '../merge';
import type { RawDiff, Side } from './diff';

/** A tree and the name of its file; '' if the server sent it. */
export interface Half {
  decoded: Decoded;
  file: string;
}

export class UnitError extends Error {
  override name = 'UnitError';
}

/** Merges two trees by the names of their frames. The values of the base are converted to the unit of the other side. */
export function join(now: Half, base: Half): RawDiff {
  const unit = now.decoded.meta.unit;
  const factor = convert(base.decoded.meta.unit, unit);
  if (factor === null) {
    throw new UnitError(`The sides cannot be compared: one is in ${unit || 'counts'}, the other in ${base.decoded.meta.unit || 'counts'}. Choose another profile of the file, or another type`);
  }
  const names: string[] = [];
  const files: string[] = [];
  const lines: number[] = [];
  const kinds: number[] = [];
  const index = new Map<string, number>();
  const merged = new MergedTree(0);
  const halves = [now, base].map(({ decoded: { columns, frames } }) => {
    const tree = layout(columns);
    const frameOf = Uint32Array.from(frames.names, (name, f) => {
      const isRoot = f === tree.frame[0];
      const kind = frames.kinds[f] === FrameKind.Group ? FrameKind.Group : FrameKind.Function;
      const key = isRoot ? '' : `${kind}${name}`;
      let at = index.get(key);
      if (at === undefined) {
        at = names.length;
        index.set(key, at);
        names.push(isRoot ? 'total' : name);
        files.push(frames.files[f]);
        lines.push(frames.lines[f]);
        kinds.push(isRoot ? FrameKind.Function : kind);
      }
      return at;
    });
    const at = new Uint32Array(tree.n);
    for (let i = 1; i < tree.n; i++) at[i] = merged.child(at[tree.parent[i]], frameOf[tree.frame[i]]);
    return { tree, at };
  });
  const n = merged.size;
  const column = ({ tree, at }: (typeof halves)[number], of: Float64Array, by: number): Float64Array => {
    const out = new Float64Array(n);
    for (let i = 0; i < tree.n; i++) out[at[i]] += of[i] * by;
    return out;
  };
  const [a, b] = halves;
  const { parent, frame } = merged.paths();
  const { meta } = now.decoded;
  return {
    type: meta.type, unit, by: [...new Set([...meta.by, ...base.decoded.meta.by])], aggregation: meta.aggregation,
    now: sideOf(now), base: sideOf(base), n, parent, frame,
    frames: { names, files, lines: Uint32Array.from(lines), kinds: Uint8Array.from(kinds) },
    values: { now: column(a, a.tree.sum, 1), base: column(b, b.tree.sum, factor), nowSelf: column(a, a.tree.self, 1), baseSelf: column(b, b.tree.self, factor) },
  };
}

function sideOf({ decoded: { meta }, file }: Half): Side {
  const { from, until } = meta.effective;
  return { from, until, selector: meta.selector, windows: meta.windows, partial: meta.partial, file };
}
