// A tree that is built by merging call paths, and trees derived from another one that way.

import { type Columns, FrameKind, type Frames } from './decode';
import type { Tree } from './layout';
import { familyOf, packagesOf } from './packages';

/** More nodes than a page draws; the value of further call paths is that of their last drawn node, undrawn. */
const NODES_MAX = 1_500_000;

export class MergedTree {
  private n = 0;
  private frame = new Uint32Array(1024);
  private parent = new Uint32Array(1024);
  private self = new Float64Array(1024);
  private hidden = new Float64Array(1024);
  private hiddenChildren = new Uint32Array(1024);
  /** Node + 1 by a hash of its parent and frame, with linear probing; at most half full. */
  private table = new Int32Array(4096);

  constructor(root: number) {
    this.push(root, 0);
  }

  get size(): number {
    return this.n;
  }

  get isFull(): boolean {
    return this.n >= NODES_MAX;
  }

  /** The child with that frame, which is added if there is none. */
  child(parent: number, frame: number): number {
    const slot = this.find(parent, frame);
    if (this.table[slot] !== 0) return this.table[slot] - 1;
    const at = this.push(frame, parent);
    this.table[slot] = at + 1;
    if (this.n * 2 > this.table.length) this.rehash();
    return at;
  }

  /** The slot of a node, or the one that it would take. */
  private find(parent: number, frame: number): number {
    const mask = this.table.length - 1;
    let h = Math.imul(parent, 0x9e3779b1) ^ Math.imul(frame, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    let slot = (h ^ (h >>> 13)) & mask;
    for (let at = this.table[slot]; at !== 0; at = this.table[slot]) {
      if (this.parent[at - 1] === parent && this.frame[at - 1] === frame) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 2);
    for (let i = 1; i < this.n; i++) this.table[this.find(this.parent[i], this.frame[i])] = i + 1;
  }

  private push(frame: number, parent: number): number {
    if (this.n === this.frame.length) this.grow();
    this.frame[this.n] = frame;
    this.parent[this.n] = parent;
    return this.n++;
  }

  private grow(): void {
    const size = this.frame.length * 2;
    const copy = <T extends Uint32Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.frame = copy(this.frame, new Uint32Array(size));
    this.parent = copy(this.parent, new Uint32Array(size));
    this.self = copy(this.self, new Float64Array(size));
    this.hidden = copy(this.hidden, new Float64Array(size));
    this.hiddenChildren = copy(this.hiddenChildren, new Uint32Array(size));
  }

  /** The parent and the frame of each node; parents come before their children. */
  paths(): { parent: Uint32Array; frame: Uint32Array } {
    return { parent: this.parent.slice(0, this.n), frame: this.frame.slice(0, this.n) };
  }

  add(node: number, self: number, hidden: number, hiddenChildren: number): void {
    this.self[node] += self;
    this.hidden[node] += hidden;
    this.hiddenChildren[node] += hiddenChildren;
  }

  /** The nodes in preorder, siblings by descending total. */
  columns(): Columns {
    const { n, parent, self, hidden, hiddenChildren, frame } = this;
    const sum = new Float64Array(n);
    const first = new Uint32Array(n + 1);
    for (let i = 0; i < n; i++) sum[i] = self[i] + hidden[i];
    // Children are added after their parents.
    for (let i = n - 1; i > 0; i--) {
      sum[parent[i]] += sum[i];
      first[parent[i] + 1]++;
    }
    for (let i = 0; i < n; i++) first[i + 1] += first[i];
    const kids = new Uint32Array(n);
    const filled = first.slice();
    for (let i = 1; i < n; i++) kids[filled[parent[i]]++] = i;
    for (let i = 0; i < n; i++) if (first[i + 1] - first[i] > 1) bySum(kids, first[i], first[i + 1], sum);

    const out: Columns = {
      n, total: sum[0], negative: 0, self: new Float64Array(n), hidden: new Float64Array(n),
      frame: new Uint32Array(n), hiddenChildren: new Uint32Array(n), depth: new Uint16Array(n),
    };
    const depth = new Uint16Array(n);
    const stack = new Uint32Array(n + 1);
    let height = 1;
    for (let at = 0; at < n; at++) {
      const i = stack[--height];
      out.self[at] = self[i];
      out.hidden[at] = hidden[i];
      out.hiddenChildren[at] = hiddenChildren[i];
      out.frame[at] = frame[i];
      out.depth[at] = depth[i];
      for (let k = first[i + 1] - 1; k >= first[i]; k--) {
        depth[kids[k]] = depth[i] + 1;
        stack[height++] = kids[k];
      }
    }
    return out;
  }
}

/** Sorts a part of the nodes by descending total; equal ones keep their order. */
function bySum(nodes: Uint32Array, from: number, until: number, sum: Float64Array): void {
  if (until - from > 24) {
    nodes.subarray(from, until).sort((a, b) => sum[b] - sum[a] || a - b);
    return;
  }
  for (let i = from + 1; i < until; i++) {
    const node = nodes[i];
    let k = i - 1;
    for (; k >= from && sum[nodes[k]] < sum[node]; k--) nodes[k + 1] = nodes[k];
    nodes[k + 1] = node;
  }
}

/** `own` is the pattern of the names or files that are kept. */
export type Shape = 'collapse' | 'packages' | 'invert' | { own: string };

/** The tree with recursion collapsed: a function that calls itself, directly or not, is one frame of its path. */
function collapse(tree: Tree): Columns {
  const merged = new MergedTree(tree.frame[0]);
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

/** The tree with neighbouring frames of one package collapsed into the first of them. Groups, and frames without a package, stay. */
function packages(tree: Tree, { names, files, kinds }: Frames): Columns {
  const of = packagesOf(names, files).map((name, f) => (kinds[f] === FrameKind.Function ? familyOf(name) : ''));
  const merged = new MergedTree(tree.frame[0]);
  const at = new Uint32Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    const above = tree.parent[i];
    const own = of[tree.frame[i]];
    if (i > 0) at[i] = above !== 0 && own !== '' && own === of[tree.frame[above]] ? at[above] : merged.child(at[above], tree.frame[i]);
    merged.add(at[i], tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
  }
  return merged.columns();
}

/** The tree of the functions that the pattern matches; the values of the others count for their nearest caller that is kept. */
function ownCode(tree: Tree, { names, files, kinds }: Frames, own: string): Columns {
  const pattern = new RegExp(own);
  const kept = Uint8Array.from(names, (name, f) => (kinds[f] !== FrameKind.Function || pattern.test(name) || (files[f] !== '' && pattern.test(files[f])) ? 1 : 0));
  const merged = new MergedTree(tree.frame[0]);
  const at = new Uint32Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    if (i > 0) at[i] = kept[tree.frame[i]] === 1 ? merged.child(at[tree.parent[i]], tree.frame[i]) : at[tree.parent[i]];
    merged.add(at[i], tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
  }
  return merged.columns();
}

/** The tree from the functions with self values to their callers. Groups stay at the root. */
function invert(tree: Tree, kinds: Uint8Array): Columns {
  const merged = new MergedTree(tree.frame[0]);
  // The merged node of the group that each node belongs to.
  const group = new Uint32Array(tree.n);
  for (let i = 1; i < tree.n; i++) {
    const isGroup = kinds[tree.frame[i]] === FrameKind.Group;
    group[i] = isGroup ? merged.child(group[tree.parent[i]], tree.frame[i]) : group[tree.parent[i]];
    // It is not known which functions undrawn values belong to.
    if (tree.hidden[i] > 0) merged.add(group[i], 0, tree.hidden[i], tree.hiddenChildren[i]);
    if (tree.self[i] === 0) continue;
    let at = group[i];
    let c = i;
    for (; c !== 0 && kinds[tree.frame[c]] !== FrameKind.Group && !merged.isFull; c = tree.parent[c]) at = merged.child(at, tree.frame[c]);
    const isWhole = c === 0 || kinds[tree.frame[c]] === FrameKind.Group;
    merged.add(at, isWhole ? tree.self[i] : 0, isWhole ? 0 : tree.self[i], isWhole ? 0 : 1);
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
  const merged = new MergedTree(tree.frame[0]);
  const at = new Uint32Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    if (alive[i] === 0) continue;
    if (i > 0) at[i] = hide?.[tree.frame[i]] === 1 ? at[tree.parent[i]] : merged.child(at[tree.parent[i]], tree.frame[i]);
    if (own[i] === 1) merged.add(at[i], tree.self[i], tree.hidden[i], tree.hiddenChildren[i]);
  }
  return merged.columns();
}

export function reshape(tree: Tree, shape: Shape, frames: Frames): Columns {
  if (typeof shape === 'object') return ownCode(tree, frames, shape.own);
  switch (shape) {
    case 'collapse':
      return collapse(tree);
    case 'packages':
      return packages(tree, frames);
    case 'invert':
      return invert(tree, frames.kinds);
  }
}
