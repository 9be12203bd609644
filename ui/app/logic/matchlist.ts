// The matches that a search steps through, the widest first.

import { visibleNode } from './fold';
import type { Tree } from './layout';

/** More matches than a person steps through. */
export const MATCHES_MAX = 1000;

/** The matching rows in the subtree of `root`, widest first; a folded run counts as one row. `before` is of the same matches. */
export function matchList(tree: Tree, hit: Uint8Array, before: Uint32Array, root = 0, most = MATCHES_MAX): Uint32Array {
  const { frame, sum, end } = tree;
  const widest = new Widest(sum, most);
  let last = -1;
  for (let i = root; i < end[root]; ) {
    // Nothing below a frame is wider than it.
    if (sum[i] <= widest.least || before[end[i]] === before[i]) {
      i = end[i];
      continue;
    }
    const row = hit[frame[i]] === 0 ? last : visibleNode(tree, i);
    i++;
    if (row === last) continue;
    last = row;
    widest.add(row);
  }
  return widest.list();
}

/** The widest of the nodes that are added in ascending order: a heap whose first node is the narrowest. */
class Widest {
  /** Narrower nodes, and as wide ones that are added later, are not among the widest. */
  least = -1;
  private readonly heap: number[] = [];

  constructor(private readonly sum: Float64Array, private readonly most: number) {}

  add(node: number): void {
    const { heap } = this;
    if (heap.length < this.most) {
      heap.push(node);
      if (heap.length < this.most) return;
      // Sorted from the narrowest, which is a heap.
      heap.sort((a, b) => this.order(a, b));
    } else {
      this.sink(node);
    }
    this.least = this.sum[heap[0]];
  }

  /** Replaces the first node. */
  private sink(node: number): void {
    const { heap } = this;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && this.order(heap[child + 1], heap[child]) < 0) child++;
      if (child >= heap.length || this.order(heap[child], node) > 0) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = node;
  }

  /** Negative if `a` comes after `b` in the list. */
  private order(a: number, b: number): number {
    return this.sum[a] - this.sum[b] || b - a;
  }

  list(): Uint32Array {
    return Uint32Array.from(this.heap.sort((a, b) => this.order(b, a)));
  }
}
