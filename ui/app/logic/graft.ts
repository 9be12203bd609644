// Level of detail: the subtree of one frame, requested when it is zoomed into, takes the place of the part of it that the
// first response had.

import type { Columns, Decoded, Frames } from './decode';
import type { Tree } from './layout';

/** The node with this path of names below the root; null if a step is missing or ambiguous. */
export function nodeAt(tree: Tree, names: string[], path: string[]): number | null {
  let at = 0;
  for (const name of path) {
    let found = -1;
    for (let c = at + 1; c < tree.end[at]; c = tree.end[c]) {
      if (names[tree.frame[c]] !== name) continue;
      if (found >= 0) return null;
      found = c;
    }
    if (found < 0) return null;
    at = found;
  }
  return at;
}

/** The sum of the values of undrawn frames below a node, as a share of the node. */
export function hiddenShare(tree: Tree, node: number): number {
  let sum = 0;
  for (let i = node; i < tree.end[node]; i++) sum += tree.hidden[i];
  return tree.sum[node] > 0 ? sum / tree.sum[node] : 0;
}

/**
 * The decoded tree in which the subtree of `node` is that of `other`. Null if they do not have the same total: windows
 * that arrived meanwhile are in one of them only.
 */
export function graft(base: Decoded, tree: Tree, node: number, sub: Decoded, subTree: Tree, other: number): Decoded | null {
  if (base.base !== null || tree.sum[node] !== subTree.sum[other]) return null;
  const { frames, at } = joined(base.frames, sub.frames);
  const [from, until] = [node, tree.end[node]];
  const [first, last] = [other, subTree.end[other]];
  const n = base.columns.n - (until - from) + (last - first);
  const shift = tree.depth[node] - subTree.depth[other];
  const columns: Columns = {
    n, total: base.columns.total, negative: base.columns.negative,
    self: new Float64Array(n), hidden: new Float64Array(n), frame: new Uint32Array(n), hiddenChildren: new Uint32Array(n), depth: new Uint16Array(n),
  };
  for (const key of ['self', 'hidden', 'frame', 'hiddenChildren', 'depth'] as const) {
    const out = columns[key];
    const [old, more] = [base.columns[key], sub.columns[key]];
    out.set(old.subarray(0, from));
    out.set(more.subarray(first, last), from);
    out.set(old.subarray(until), from + last - first);
  }
  for (let i = from; i < from + last - first; i++) {
    columns.frame[i] = at[columns.frame[i]];
    columns.depth[i] += shift;
  }
  return { ...base, columns, frames };
}

/** The frames of both, and where those of the second are. */
function joined(a: Frames, b: Frames): { frames: Frames; at: Uint32Array } {
  const index = new Map<string, number>();
  const key = (of: Frames, i: number): string => `${of.kinds[i]}\0${of.names[i]}\0${of.files[i]}\0${of.lines[i]}`;
  a.names.forEach((_, i) => { index.set(key(a, i), i); });
  const added: number[] = [];
  const at = new Uint32Array(b.names.length);
  for (let i = 0; i < at.length; i++) {
    const known = index.get(key(b, i));
    at[i] = known ?? a.names.length + added.length;
    if (known === undefined) added.push(i);
  }
  const typed = <T extends Uint32Array | Uint8Array>(old: T, more: T, make: (length: number) => T): T => {
    const out = make(old.length + added.length);
    out.set(old);
    added.forEach((i, k) => { out[old.length + k] = more[i]; });
    return out;
  };
  return {
    at,
    frames: {
      names: [...a.names, ...added.map((i) => b.names[i])],
      files: [...a.files, ...added.map((i) => b.files[i])],
      lines: typed(a.lines, b.lines, (length) => new Uint32Array(length)),
      kinds: typed(a.kinds, b.kinds, (length) => new Uint8Array(length)),
    },
  };
}
