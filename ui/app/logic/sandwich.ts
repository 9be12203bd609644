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
  const [callers, callees] = [callersOf, calleesOf].map((expand) => new Merge(frame, names.length, share * total).columns(outermost, expand(tree)));
  return { name: names[frame], frame, total, self, paths: outermost.length, callers, callees, groups: groupsOf(tree, names, kinds, outermost) };
}

/** More frames are looked for together. */
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
  /** The nodes of open frames, with the occurrences that they belong to. Only those at the end are removed. */
  private nodes: number[] = [];
  private occurrences: number[] = [];
  /** What is below the frame that is being written: nodes and occurrences, and the group of each. */
  private readonly lower: number[] = [];
  private readonly lowerOf: number[] = [];
  private readonly group: number[] = [];
  /** Of each group: its frame, its total, and the number of its nodes. */
  private readonly frames: number[] = [];
  private readonly totals: number[] = [];
  private readonly sizes: number[] = [];
  /** The groups that are wide enough, and where the next node of each group is put; -1 if it is left out. */
  private readonly drawn: number[] = [];
  private slots = new Int32Array(16);
  /** The group of a frame + 1. */
  private readonly groupOf: Uint32Array;

  constructor(private readonly root: number, frames: number, private readonly least: number) {
    this.groupOf = new Uint32Array(frames);
  }

  /** A node below the frame that is being written. */
  below(node: number, of: number, frame: number, value: number): void {
    let group = this.groupOf[frame] - 1;
    if (group < 0) {
      group = this.frames.length;
      this.groupOf[frame] = group + 1;
      this.frames.push(frame);
      this.totals.push(0);
      this.sizes.push(0);
    }
    this.totals[group] += value;
    this.sizes[group]++;
    this.lower.push(node);
    this.lowerOf.push(of);
    this.group.push(group);
  }

  /** The frames in preorder, siblings by descending total. */
  columns(roots: number[], expand: Expand): Columns {
    const [self, hidden, hiddenChildren, frame, depth]: number[][] = [[], [], [], [], []];
    this.nodes = roots.slice();
    this.occurrences = roots.slice();
    const open: Open[] = [{ frame: this.root, depth: 0, from: 0, until: roots.length }];
    let total = 0;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      [this.self, this.hidden, this.hiddenChildren] = [0, 0, 0];
      for (let k = at.from; k < at.until; k++) expand(this.nodes[k], this.occurrences[k], this);
      // What was below the frames before it has been written.
      this.nodes.length = at.until;
      this.occurrences.length = at.until;
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
    const { frames, totals, sizes, drawn, lower, lowerOf, group } = this;
    if (frames.length === 0) return;
    for (let g = 0; g < frames.length; g++) {
      this.groupOf[frames[g]] = 0;
      if (totals[g] >= this.least) {
        drawn.push(g);
        continue;
      }
      this.hidden += totals[g];
      this.hiddenChildren++;
    }
    if (drawn.length > 1) drawn.sort((a, b) => totals[a] - totals[b] || b - a);
    if (this.slots.length < frames.length) this.slots = new Int32Array(2 * frames.length);
    const { slots } = this;
    slots.fill(-1, 0, frames.length);
    let from = this.nodes.length;
    for (const g of drawn) {
      open.push({ frame: frames[g], depth, from, until: from + sizes[g] });
      slots[g] = from;
      from += sizes[g];
    }
    if (drawn.length > 0) {
      for (let k = 0; k < lower.length; k++) {
        const slot = slots[group[k]];
        if (slot < 0) continue;
        this.nodes[slot] = lower[k];
        this.occurrences[slot] = lowerOf[k];
        slots[group[k]]++;
      }
    }
    frames.length = totals.length = sizes.length = drawn.length = lower.length = lowerOf.length = group.length = 0;
  }
}
