// Paths of frame names: they identify a node across refreshes and orders, which change node ids.

import { hash, hashesOf } from './hash';
import type { Tree } from './layout';
import { type NodeId, ROOT, nodeId } from './units';

// Siblings can share a name: closures and generic functions, for example. All but the largest carry
// their rank: `name`, `name\t1`, `name\t2`.
export const RANK = '\t';

/** The names from the root's child down to the node. */
export function pathOf(tree: Tree, names: string[], node: NodeId): string[] {
  const path: string[] = [];
  for (let i: number = node; i !== 0; i = tree.parent[i]) {
    const rank = sameNamed(tree, names, tree.parent[i], names[tree.frame[i]]).indexOf(i);
    path.push(rank > 0 ? `${names[tree.frame[i]]}${RANK}${rank}` : names[tree.frame[i]]);
  }
  return path.reverse();
}

/** The base of 64 in which hashes are written; none of its characters is escaped in a URL. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** Begins the rank of a step, and the form of a long path. */
const MARK = '*';
/** Longer paths are written as their length and one hash. */
const STEPS_MAX = 200;

const encode = (value: number, digits: number): string =>
  Array.from({ length: digits }, (_, i) => DIGITS[Math.floor(value / 64 ** (digits - 1 - i)) % 64]).join('');

/** A name of a path in the URL: four characters, whatever its length. */
export function stepOf(name: string): string {
  const [text, rank] = name.split(RANK);
  return encode(hash(text) & 0xffffff, 4) + (rank === undefined ? '' : MARK + rank);
}

/** The path of names in the URL. The hashes are resolved by the tree, level by level. */
export function shortPath(path: string[]): string[] {
  if (path.length <= STEPS_MAX) return path.map(stepOf);
  const whole = path.reduce((h, name) => continued(h, hash(name.split(RANK)[0])), 0);
  return [`${MARK}${path.length}${MARK}${encode(whole, 6)}`];
}

const continued = (before: number, next: number): number => (Math.imul(before ^ (before >>> 15), 0x2c1b3c6d) + next) >>> 0;

const KEY_MAX = 200;
/** A function's name in the URL: itself, or a hash if it is long. */
export const nameKey = (name: string): string => (name.length <= KEY_MAX ? name : `${MARK}${encode(hash(name), 6)}`);

/** Whether the text is a step or a long path in short form. */
export const isShort = (text: string): boolean => /^([\w-]{4}(\*\d+)?|\*\d+\*[\w-]{6})$/.test(text);

/** The deepest node of a path in short form that exists in this tree. */
export function findShort(tree: Tree, names: string[], path: string[]): Found {
  const long = path.length === 1 ? /^\*(\d+)\*([\w-]{6})$/.exec(path[0]) : null;
  if (long !== null) return findLong(tree, names, Number(long[1]), long[2]);
  const known = hashesOf(names);
  let at = 0;
  for (let d = 0; d < path.length; d++) {
    const [step, rank] = path[d].split(MARK);
    const found: number[] = [];
    for (let c = at + 1; c < tree.end[at]; c = tree.end[c]) {
      if (encode(known[tree.frame[c]] & 0xffffff, 4) === step) found.push(c);
    }
    if (found.length === 0) return { node: nodeId(at), depth: d };
    if (found.length > 1) found.sort((a, b) => tree.sum[b] - tree.sum[a] || tree.frame[a] - tree.frame[b]);
    at = found[Math.min(found.length - 1, Number(rank ?? 0) || 0)];
  }
  return { node: at === 0 ? ROOT : nodeId(at), depth: path.length };
}

function findLong(tree: Tree, names: string[], depth: number, text: string): Found {
  const known = hashesOf(names);
  const above = new Float64Array(tree.maxDepth + 1);
  for (let i = 1; i < tree.n; i++) {
    const d = tree.depth[i];
    above[d] = continued(above[d - 1], known[tree.frame[i]]);
    if (d === depth && encode(above[d], 6) === text) return { node: nodeId(i), depth: 1 };
  }
  return { node: ROOT, depth: 0 };
}

/** The children of that name, largest first. */
function sameNamed(tree: Tree, names: string[], parent: number, name: string): number[] {
  const found: number[] = [];
  for (let c = parent + 1; c < tree.end[parent]; c = tree.end[c]) {
    if (names[tree.frame[c]] === name) found.push(c);
  }
  return found.length > 1 ? found.sort((a, b) => tree.sum[b] - tree.sum[a] || tree.frame[a] - tree.frame[b]) : found;
}

export interface Found {
  node: NodeId;
  /** The number of names that were found; fewer than the path's length if the tree has changed. */
  depth: number;
}

/** The deepest node of the path that exists in this tree. */
export function findPath(tree: Tree, names: string[], path: string[]): Found {
  let at = 0;
  for (let d = 0; d < path.length; d++) {
    const [name, rank] = path[d].split(RANK);
    const candidates = sameNamed(tree, names, at, name);
    if (candidates.length === 0) return { node: nodeId(at), depth: d };
    at = candidates[Math.min(candidates.length - 1, Number(rank ?? 0) || 0)];
  }
  return { node: at === 0 ? ROOT : nodeId(at), depth: path.length };
}

/** The callers from the root down to the node itself. */
export function ancestors(tree: Tree, node: NodeId): NodeId[] {
  const up: NodeId[] = [];
  for (let i: number = node; ; i = tree.parent[i]) {
    up.push(nodeId(i));
    if (i === 0) return up.reverse();
  }
}
