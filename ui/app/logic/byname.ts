// The order of siblings by name.

import { type Tree, startsOf } from './layout';
import { floats, shorts, words } from './shared';

const knownRanks = new WeakMap<string[], Uint32Array>();
/** The rank of each name in their order, which is computed once: sorting them takes longer than sorting a tree by it. */
export function ranksOf(names: string[]): Uint32Array {
  let ranks = knownRanks.get(names);
  if (ranks === undefined) {
    ranks = new Uint32Array(names.length);
    const order = Array.from(names.keys()).sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
    for (let at = 0; at < order.length; at++) ranks[order[at]] = at;
    knownRanks.set(names, ranks);
  }
  return ranks;
}

const knownPlaces = new WeakMap<Tree, Uint32Array>();
/** Computes where `byName` moves the nodes of a tree, which is half of its work, and keeps it until then. */
export function prepareByName(tree: Tree, names: string[]): void {
  knownPlaces.set(tree, placesOf(tree, names));
}

/** The place of each node in the order by name. Parents come before their children, in both orders. */
function placesOf({ n, frame, end }: Tree, names: string[]): Uint32Array {
  const rank = ranksOf(names);
  const places = new Uint32Array(n);
  // Pages that nobody writes to take no memory.
  const children = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    let count = 0;
    for (let c = i + 1; c < end[i]; c = end[c]) children[count++] = c;
    if (count > 1) sortByRank(children, count, frame, rank);
    let at = places[i] + 1;
    for (let k = 0; k < count; k++) {
      const c = children[k];
      places[c] = at;
      at += end[c] - c;
    }
  }
  return places;
}

/**
 * The same tree with siblings sorted by name. Nodes change their position, so that preorder still
 * runs from left to right: node ids differ between the two orders.
 */
export function byName(tree: Tree, names: string[]): Tree {
  const { n, frame, self, hidden, hiddenChildren, depth, sum, end, parent } = tree;
  const places = knownPlaces.get(tree) ?? placesOf(tree, names);
  knownPlaces.delete(tree);
  const [movedSelf, movedHidden, movedSum] = [floats(n), floats(n), floats(n)];
  const [movedFrame, movedChildren, movedEnd, movedParent] = [words(n), words(n), words(n), words(n)];
  const movedDepth = shorts(n);
  for (let i = 0; i < n; i++) {
    const at = places[i];
    movedSelf[at] = self[i];
    // Pages of zeros that nobody wrote to take no memory.
    if (hidden[i] !== 0) movedHidden[at] = hidden[i];
    if (hiddenChildren[i] !== 0) movedChildren[at] = hiddenChildren[i];
    movedFrame[at] = frame[i];
    movedDepth[at] = depth[i];
    movedSum[at] = sum[i];
    movedEnd[at] = at + end[i] - i;
    movedParent[at] = places[parent[i]];
  }
  return {
    ...tree, self: movedSelf, hidden: movedHidden, frame: movedFrame, hiddenChildren: movedChildren, depth: movedDepth, sum: movedSum,
    start: startsOf(movedDepth, movedSum, tree.maxDepth), end: movedEnd, parent: movedParent, row: movedDepth,
  };
}

/** Sorts the first nodes by rank of their frames, and those of one rank in their order. */
function sortByRank(nodes: Uint32Array, count: number, frame: Uint32Array, rank: Uint32Array): void {
  if (count > 24) {
    nodes.subarray(0, count).sort((a, b) => rank[frame[a]] - rank[frame[b]] || a - b);
    return;
  }
  for (let i = 1; i < count; i++) {
    const node = nodes[i];
    const of = rank[frame[node]];
    let k = i - 1;
    for (; k >= 0 && rank[frame[nodes[k]]] > of; k--) nodes[k + 1] = nodes[k];
    nodes[k + 1] = node;
  }
}
