// A tree that is built by merging call paths, and trees derived from another one that way.

import { type Columns, FrameKind, type Frames } from './decode';
import type { Tree } from './layout';

export class MergedTree {
  readonly frame: number[] = [];
  private readonly parent: number[] = [];
  private readonly self: number[] = [];
  private readonly hidden: number[] = [];
  private readonly hiddenChildren: number[] = [];
  private readonly index = new Map<number, number>();

  constructor(root: number, private readonly frames: number) {
    this.push(root, 0);
  }

  /** The child with that frame, which is added if there is none. */
  child(parent: number, frame: number): number {
    const key = parent * this.frames + frame;
    let at = this.index.get(key);
    if (at === undefined) {
      at = this.push(frame, parent);
      this.index.set(key, at);
    }
    return at;
  }

  private push(frame: number, parent: number): number {
    this.parent.push(parent);
    this.self.push(0);
    this.hidden.push(0);
    this.hiddenChildren.push(0);
    return this.frame.push(frame) - 1;
  }

  add(node: number, self: number, hidden: number, hiddenChildren: number): void {
    this.self[node] += self;
    this.hidden[node] += hidden;
    this.hiddenChildren[node] += hiddenChildren;
  }

  /** The nodes in preorder, siblings by descending total. */
  columns(): Columns {
    const n = this.frame.length;
    const sum = Float64Array.from(this.self, (s, i) => s + this.hidden[i]);
    // Children are added after their parents.
    for (let i = n - 1; i > 0; i--) sum[this.parent[i]] += sum[i];
    const order = Array.from({ length: n - 1 }, (_, i) => i + 1).sort((a, b) => sum[a] - sum[b] || b - a);
    const first = new Int32Array(n).fill(-1);
    const next = new Int32Array(n).fill(-1);
    // Each child is put before the smaller ones.
    for (const i of order) {
      next[i] = first[this.parent[i]];
      first[this.parent[i]] = i;
    }
    const out: Columns = {
      n, total: sum[0], negative: 0, self: new Float64Array(n), hidden: new Float64Array(n),
      frame: new Uint32Array(n), hiddenChildren: new Uint32Array(n), depth: new Uint16Array(n),
    };
    let node = 0;
    let depth = 0;
    for (let at = 0; at < n; at++) {
      out.self[at] = this.self[node];
      out.hidden[at] = this.hidden[node];
      out.hiddenChildren[at] = this.hiddenChildren[node];
      out.frame[at] = this.frame[node];
      out.depth[at] = depth;
      if (first[node] >= 0) {
        node = first[node];
        depth++;
        continue;
      }
      while (node !== 0 && next[node] < 0) {
        node = this.parent[node];
        depth--;
      }
      node = node === 0 ? 0 : next[node];
    }
    return out;
  }
}

export type Shape = 'collapse' | 'invert';

/** The tree with recursion collapsed: a function that calls itself, directly or not, is one frame of its path. */
function collapse(tree: Tree, frames: number): Columns {
  const merged = new MergedTree(tree.frame[0], frames);
  const at = new Uint32Array(tree.n);
  for (let i = 1; i < tree.n; i++) {
    let above = tree.parent[i];
    while (above !== 0 && tree.frame[above] !== tree.frame[i]) above = tree.parent[above];
    at[i] = above === 0 ? merged.child(at[tree.parent[i]], tree.frame[i]) : at[above];
    merged.add(at[i], tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
  }
  merged.add(0, tree.self[0], tree.hidden[0], tree.hiddenChildren[0]);
  return merged.columns();
}

/** The tree from the functions with self values to their callers. Groups stay at the root. */
function invert(tree: Tree, frames: number, kinds: Uint8Array): Columns {
  const merged = new MergedTree(tree.frame[0], frames);
  // The merged node of the group that each node belongs to.
  const group = new Uint32Array(tree.n);
  for (let i = 1; i < tree.n; i++) {
    const isGroup = kinds[tree.frame[i]] === FrameKind.Group;
    group[i] = isGroup ? merged.child(group[tree.parent[i]], tree.frame[i]) : group[tree.parent[i]];
    // It is not known which functions undrawn values belong to.
    if (tree.hidden[i] > 0) merged.add(group[i], 0, tree.hidden[i], tree.hiddenChildren[i]);
    if (tree.self[i] === 0) continue;
    let at = group[i];
    for (let c = i; c !== 0 && kinds[tree.frame[c]] !== FrameKind.Group; c = tree.parent[c]) at = merged.child(at, tree.frame[c]);
    merged.add(at, tree.self[i], 0, 0);
  }
  merged.add(0, tree.self[0], tree.hidden[0], tree.hiddenChildren[0]);
  return merged.columns();
}

/** The stacks that focus and ignore select, without the frames that hide matches, as the server filters. */
export function filtered(tree: Tree, { names, files, kinds }: Frames, patterns: { focus?: string; ignore?: string; hide?: string }): Columns {
  const matching = (pattern: string | undefined): Uint8Array | null => {
    if (pattern === undefined) return null;
    const regex = new RegExp(pattern);
    return Uint8Array.from(names, (name, f) => (kinds[f] !== FrameKind.Group && (regex.test(name) || (files[f] !== '' && regex.test(files[f]))) ? 1 : 0));
  };
  const [focus, ignore, hide] = [patterns.focus, patterns.ignore, patterns.hide].map(matching);
  const kept = new Uint8Array(tree.n);
  const dropped = new Uint8Array(tree.n);
  // Whether a value remains in the subtree.
  const alive = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    const p = tree.parent[i];
    const f = tree.frame[i];
    kept[i] = i === 0 ? (focus === null ? 1 : 0) : kept[p] | (focus?.[f] ?? 0);
    dropped[i] = i === 0 ? 0 : dropped[p] | (ignore?.[f] ?? 0);
    alive[i] = kept[i] === 1 && dropped[i] === 0 && tree.self[i] + tree.hidden[i] > 0 ? 1 : 0;
  }
  const own = alive.slice();
  for (let i = tree.n - 1; i > 0; i--) alive[tree.parent[i]] |= alive[i];
  const merged = new MergedTree(tree.frame[0], names.length);
  const at = new Uint32Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    if (alive[i] === 0) continue;
    if (i > 0) at[i] = hide?.[tree.frame[i]] === 1 ? at[tree.parent[i]] : merged.child(at[tree.parent[i]], tree.frame[i]);
    if (own[i] === 1) merged.add(at[i], tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
  }
  return merged.columns();
}

export function reshape(tree: Tree, shape: Shape, kinds: Uint8Array): Columns {
  return shape === 'collapse' ? collapse(tree, kinds.length) : invert(tree, kinds.length, kinds);
}

/** A function with its callers and callees. */
export interface Sandwich {
  name: string;
  /** A frame of the function. */
  frame: number;
  total: number;
  self: number;
  /** The number of call paths that end in it. */
  paths: number;
  callers: Columns;
  callees: Columns;
  /** The total by group, largest first; empty without groups. */
  groups: { name: string; value: number }[];
}

/** The merged callers and callees of the functions of a name; null if there is none. Recursive calls count once. */
export function sandwich(tree: Tree, names: string[], kinds: Uint8Array, isWanted: (name: string) => boolean): Sandwich | null {
  const wanted = Uint8Array.from(names, (name, f) => (kinds[f] === FrameKind.Function && isWanted(name) ? 1 : 0));
  wanted[tree.frame[0]] = 0;
  const frame = wanted.indexOf(1);
  if (frame < 0) return null;
  const callers = new MergedTree(frame, names.length);
  const callees = new MergedTree(frame, names.length);
  const groups = new Map<string, number>();
  const at = new Uint32Array(tree.n);
  let [total, self, paths, covered] = [0, 0, 0, 0];
  for (let i = 1; i < tree.n; i++) {
    const isOne = wanted[tree.frame[i]] === 1;
    if (isOne) self += tree.self[i];
    if (i < covered) {
      at[i] = callees.child(at[tree.parent[i]], tree.frame[i]);
      callees.add(at[i], tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
      continue;
    }
    if (!isOne) continue;
    covered = tree.end[i];
    paths++;
    total += tree.sum[i];
    callees.add(0, tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
    let to = 0;
    let top = '';
    for (let c = tree.parent[i]; c !== 0; c = tree.parent[c]) {
      if (kinds[tree.frame[c]] === FrameKind.Group) top = names[tree.frame[c]];
      to = callers.child(to, tree.frame[c]);
    }
    // The total belongs to the outermost caller, at the edge of the graph.
    callers.add(to, tree.sum[i], 0, 0);
    if (top !== '') groups.set(top, (groups.get(top) ?? 0) + tree.sum[i]);
  }
  return {
    name: names[frame], frame, total, self, paths, callers: callers.columns(), callees: callees.columns(),
    groups: [...groups].map(([name, value]) => ({ name, value })).sort((a, b) => b.value - a.value),
  };
}
