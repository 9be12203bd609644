// The merged callers and callees of a function. Trees are merged from their root, level by level, so that the cost is that
// of the frames that are wide enough to be drawn, and not that of the profile.

import { type Columns, FrameKind } from './decode';
import type { Tree } from './layout';

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

/**
 * The callers and callees of the functions of a name; null if there is none. Recursive calls count once. Frames of less than
 * `share` of the function's total are left out, and their sum is exact.
 */
export function sandwich(tree: Tree, names: string[], kinds: Uint8Array, isWanted: (name: string) => boolean, share = 0): Sandwich | null {
  const frames: number[] = [];
  for (let f = 0; f < names.length; f++) if (kinds[f] === FrameKind.Function && f !== tree.frame[0] && isWanted(names[f])) frames.push(f);
  if (frames.length === 0) return null;
  const [frame] = frames;
  const outermost: number[] = [];
  let [total, self, covered] = [0, 0, 0];
  for (const i of occurrences(tree, frames)) {
    self += tree.self[i];
    if (i < covered) continue;
    covered = tree.end[i];
    outermost.push(i);
    total += tree.sum[i];
  }
  const merge = new Merge(frame, names.length, share * total);
  const [callers, callees] = [callersOf, calleesOf].map((expand) => merge.columns(outermost, expand(tree)));
  return { name: names[frame], frame, total, self, paths: outermost.length, callers, callees, groups: groupsOf(tree, names, kinds, outermost) };
}

/** The largest number of frames that are searched for one after the other; more are found in one pass. */
const FRAMES_SINGLE = 8;

/** The nodes of some frames, in preorder. The browser's own search of an array is faster than the first run of a loop. */
function occurrences({ n, frame }: Tree, frames: number[]): number[] {
  const nodes: number[] = [];
  if (frames.length > FRAMES_SINGLE) {
    const isOne = new Uint8Array(frames.at(-1)! + 1);
    for (const f of frames) isOne[f] = 1;
    for (let i = 1; i < n; i++) if (isOne[frame[i]] === 1) nodes.push(i);
    return nodes;
  }
  for (const f of frames) for (let i = frame.indexOf(f, 1); i > 0; i = frame.indexOf(f, i + 1)) nodes.push(i);
  return frames.length > 1 ? nodes.sort((a, b) => a - b) : nodes;
}

function groupsOf(tree: Tree, names: string[], kinds: Uint8Array, outermost: number[]): Sandwich['groups'] {
  const groups = new Map<string, number>();
  for (const i of outermost) {
    let top = '';
    for (let c = tree.parent[i]; c !== 0; c = tree.parent[c]) if (kinds[tree.frame[c]] === FrameKind.Group) top = names[tree.frame[c]];
    if (top !== '') groups.set(top, (groups.get(top) ?? 0) + tree.sum[i]);
  }
  return [...groups].map(([name, value]) => ({ name, value })).sort((a, b) => b.value - a.value);
}

/** Adds what a node has itself, and what is below it. `of` is the occurrence of the function that the node was reached from. */
type Expand = (node: number, of: number, merge: Merge) => void;

const calleesOf = ({ frame, self, hidden, hiddenChildren, sum, end }: Tree): Expand => (node, of, merge) => {
  merge.self += self[node];
  merge.hidden += hidden[node];
  merge.hiddenChildren += hiddenChildren[node];
  for (let c = node + 1; c < end[node]; c = end[c]) merge.below(c, of, frame[c], sum[c]);
};

/** The total belongs to the outermost caller, at the edge of the graph. */
const callersOf = ({ frame, parent, sum }: Tree): Expand => (node, of, merge) => {
  const caller = parent[node];
  if (caller === 0) merge.self += sum[of];
  else merge.below(caller, of, frame[caller], sum[of]);
};

/** The nodes below a frame, or of frames that are yet to be written: lists of numbers would be copied and collected as they grow. */
class Nodes {
  node = new Uint32Array(1024);
  /** The occurrence that each belongs to. */
  of = new Uint32Array(1024);
  /** The group of each. */
  group = new Uint32Array(1024);
  length = 0;

  push(node: number, of: number, group: number): void {
    if (this.length === this.node.length) this.grow(2 * this.length);
    const at = this.length++;
    this.node[at] = node;
    this.of[at] = of;
    this.group[at] = group;
  }

  /** Makes room for as many as this. */
  reserve(length: number): void {
    if (length > this.node.length) this.grow(Math.max(length, 2 * this.node.length));
  }

  private grow(length: number): void {
    for (const name of ['node', 'of', 'group'] as const) {
      const bigger = new Uint32Array(length);
      bigger.set(this[name]);
      this[name] = bigger;
    }
  }
}

/** A frame that is yet to be written: its nodes are a part of the list. */
interface Open {
  frame: number;
  depth: number;
  from: number;
  until: number;
}

class Merge {
  /** Of the frame that is being written. */
  self = 0;
  hidden = 0;
  hiddenChildren = 0;
  /** The nodes of open frames. Only those at the end are removed. */
  private readonly nodes = new Nodes();
  /** What is below the frame that is being written. */
  private readonly lower = new Nodes();
  /** Of each group: its frame, its total, and the number of its nodes. */
  private groups = 0;
  private readonly frames: Uint32Array;
  private readonly totals: Float64Array;
  private readonly sizes: Uint32Array;
  /** Where the next node of each group is put; -1 if it is left out. */
  private readonly slots: Int32Array;
  /** The groups that are wide enough. */
  private readonly drawn: number[] = [];
  /** The group of a frame + 1. */
  private readonly groupOf: Uint32Array;

  constructor(private readonly root: number, frames: number, private readonly least: number) {
    this.groupOf = new Uint32Array(frames);
    // A frame is in one group.
    this.frames = new Uint32Array(frames);
    this.totals = new Float64Array(frames);
    this.sizes = new Uint32Array(frames);
    this.slots = new Int32Array(frames);
  }

  /** A node below the frame that is being written. */
  below(node: number, of: number, frame: number, value: number): void {
    let group = this.groupOf[frame] - 1;
    if (group < 0) {
      group = this.groups++;
      this.groupOf[frame] = group + 1;
      this.frames[group] = frame;
      this.totals[group] = 0;
      this.sizes[group] = 0;
    }
    this.totals[group] += value;
    this.sizes[group]++;
    this.lower.push(node, of, group);
  }

  /** The frames in preorder, siblings by descending total. Nothing of them is left for the next merge. */
  columns(roots: number[], expand: Expand): Columns {
    const [self, hidden, hiddenChildren, frame, depth]: number[][] = [[], [], [], [], []];
    const { nodes } = this;
    for (const node of roots) nodes.push(node, node, 0);
    const open: Open[] = [{ frame: this.root, depth: 0, from: 0, until: roots.length }];
    let total = 0;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      [this.self, this.hidden, this.hiddenChildren] = [0, 0, 0];
      for (let k = at.from; k < at.until; k++) expand(nodes.node[k], nodes.of[k], this);
      // Its nodes, and what was below the frames before it, are not needed any more.
      nodes.length = at.from;
      this.push(open, at.depth + 1);
      self.push(this.self);
      hidden.push(this.hidden);
      hiddenChildren.push(this.hiddenChildren);
      frame.push(at.frame);
      depth.push(at.depth);
      total += this.self + this.hidden;
    }
    return {
      n: self.length, total, negative: 0, self: Float64Array.from(self), hidden: Float64Array.from(hidden), frame: Uint32Array.from(frame),
      hiddenChildren: Uint32Array.from(hiddenChildren), depth: Uint16Array.from(depth),
    };
  }

  /** Opens the groups that are wide enough, the largest last. */
  private push(open: Open[], depth: number): void {
    const { frames, totals, sizes, drawn, lower, nodes, slots, groups } = this;
    if (groups === 0) return;
    drawn.length = 0;
    for (let g = 0; g < groups; g++) {
      this.groupOf[frames[g]] = 0;
      slots[g] = -1;
      if (totals[g] >= this.least) {
        drawn.push(g);
        continue;
      }
      this.hidden += totals[g];
      this.hiddenChildren++;
    }
    if (drawn.length > 1) drawn.sort((a, b) => totals[a] - totals[b] || b - a);
    let from = nodes.length;
    for (const g of drawn) {
      open.push({ frame: frames[g], depth, from, until: from + sizes[g] });
      slots[g] = from;
      from += sizes[g];
    }
    if (drawn.length > 0) {
      nodes.reserve(from);
      for (let k = 0; k < lower.length; k++) {
        const slot = slots[lower.group[k]];
        if (slot < 0) continue;
        slots[lower.group[k]]++;
        nodes.node[slot] = lower.node[k];
        nodes.of[slot] = lower.of[k];
      }
    }
    nodes.length = from;
    lower.length = 0;
    this.groups = 0;
  }
}
