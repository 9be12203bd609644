// The difference of two profiles as one tree. The width of a frame is the mean of both sides, so that every frame of either
// side is visible and the widths of callees add up.

import type { Aggregation, Decoded, Frames, Meta } from '../decode';
import { DecodeError, FrameKind, LIMITS, aggregationOf } from '../decode';
import { visible } from '../names';

/** How values are compared: as they are, per second of each range, or as shares of each total. */
export type Scale = 'value' | 'rate' | 'share';

/** What a response says about one side. */
export interface Side {
  from: number;
  until: number;
  selector: string;
  windows: number;
  partial: string[];
  /** The name of the local file that it is; '' if the server sent it. */
  file: string;
}

export interface RawDiff {
  type: string;
  unit: string;
  by: string[];
  aggregation: Aggregation | null;
  now: Side;
  base: Side;
  n: number;
  parent: Uint32Array;
  frame: Uint32Array;
  frames: Frames;
  /** Totals and self values of both sides by node, in the profile's unit. */
  values: { now: Float64Array; base: Float64Array; nowSelf: Float64Array; baseSelf: Float64Array };
}

interface JsonNode {
  name: string;
  self: number;
  total: number;
  base_self: number;
  base_total: number;
  children: JsonNode[];
}

const fail = (text: string): never => {
  throw new DecodeError(`Invalid difference in the server's response: ${text}.`);
};

/** Reads the response of `/api/v1/profiles/diff`. */
export function readDiff(text: string): RawDiff {
  let doc: { meta?: Record<string, unknown>; tree?: JsonNode };
  try {
    doc = JSON.parse(text) as typeof doc;
  } catch {
    return fail('it is not JSON; it may have been cut off, load it again');
  }
  const { meta, tree } = doc;
  if (typeof meta !== 'object' || meta === null || typeof tree !== 'object' || tree === null) return fail('it has no tree');
  const by = Array.isArray(meta['by']) ? meta['by'].map(String) : [];
  const rows: number[][] = [];
  const frameOf: number[] = [];
  const index = new Map<string, number>();
  const names: string[] = [];
  const kinds: number[] = [];
  const stack: { node: JsonNode; parent: number; depth: number }[] = [{ node: tree, parent: 0, depth: 0 }];
  while (stack.length > 0) {
    const { node, parent, depth } = stack.pop()!;
    if (rows.length >= LIMITS.nodes || depth > LIMITS.depth) fail('it has too many frames');
    const values = [node.total, node.base_total, node.self, node.base_self];
    if (!values.every((v) => Number.isFinite(v)) || !Array.isArray(node.children)) fail(`the frame ${rows.length} has no values`);
    const name = visible(String(node.name));
    const isGroup = depth > 0 && depth <= by.length && name.startsWith(`${by[depth - 1]}=`);
    const key = `${isGroup ? 1 : 0}${name}`;
    let f = index.get(key);
    if (f === undefined) {
      f = names.length;
      names.push(name);
      kinds.push(isGroup ? FrameKind.Group : FrameKind.Function);
      index.set(key, f);
    }
    const at = rows.length;
    rows.push([parent, ...values.map((v) => Math.max(0, v))]);
    frameOf.push(f);
    for (let c = node.children.length - 1; c >= 0; c--) stack.push({ node: node.children[c], parent: at, depth: depth + 1 });
  }
  const column = (c: number): Float64Array => Float64Array.from(rows, (row) => row[c]);
  return {
    type: String(meta['type'] ?? ''),
    unit: String(meta['unit'] ?? ''),
    by,
    aggregation: aggregationOf(meta['aggregation']),
    now: sideOf(meta),
    base: sideOf((meta['base'] ?? {}) as Record<string, unknown>),
    n: rows.length,
    parent: Uint32Array.from(rows, (row) => row[0]),
    frame: Uint32Array.from(frameOf),
    frames: { names, files: names.map(() => ''), lines: new Uint32Array(names.length), kinds: Uint8Array.from(kinds) },
    values: { now: column(1), base: column(2), nowSelf: column(3), baseSelf: column(4) },
  };
}

function sideOf(meta: Record<string, unknown>): Side {
  const number = (x: unknown): number => (typeof x === 'number' ? x : 0);
  const from = number(meta['from']);
  const until = number(meta['until']);
  return {
    from: Math.min(from, number(meta['effective_from'] ?? from)),
    until: Math.max(until, number(meta['effective_until'] ?? until)),
    selector: typeof meta['selector'] === 'string' ? meta['selector'] : '',
    windows: number(meta['windows']),
    partial: Array.isArray(meta['partial']) ? meta['partial'].filter((p) => typeof p === 'string') : [],
    file: '',
  };
}

/** What the values of each side are multiplied by. A share of an empty profile is 0. */
export function factors(raw: RawDiff, scale: Scale): { now: number; base: number } {
  const per = (side: Side, total: number): number => {
    if (scale === 'value') return 1;
    if (scale === 'rate') return side.until > side.from ? 1000 / (side.until - side.from) : 0;
    return total > 0 ? 1 / total : 0;
  };
  return { now: per(raw.now, raw.values.now[0]), base: per(raw.base, raw.values.base[0]) };
}

/** Totals and self values of both sides by node of the laid out tree, scaled. */
export interface Sides {
  now: Float64Array;
  base: Float64Array;
  nowSelf: Float64Array;
  baseSelf: Float64Array;
}

/** The tree of means, its nodes in preorder with the widest first. */
export function scaled(raw: RawDiff, scale: Scale): { decoded: Decoded; sides: Sides } {
  const { n, parent, frame, values } = raw;
  const by = factors(raw, scale);
  const mean = (i: number): number => (values.now[i] * by.now + values.base[i] * by.base) / 2;
  const children: number[][] = Array.from({ length: n }, () => []);
  for (let i = 1; i < n; i++) children[parent[i]].push(i);
  const decoded: Decoded = {
    columns: {
      n, total: 0, negative: 0, self: new Float64Array(n), hidden: new Float64Array(n),
      frame: new Uint32Array(n), hiddenChildren: new Uint32Array(n), depth: new Uint16Array(n),
    },
    frames: raw.frames, meta: metaOf(raw), baseTotal: 0, base: null,
  };
  const sides: Sides = { now: new Float64Array(n), base: new Float64Array(n), nowSelf: new Float64Array(n), baseSelf: new Float64Array(n) };
  const { columns } = decoded;
  const stack: [number, number][] = [[0, 0]];
  let at = 0;
  while (stack.length > 0) {
    const [i, depth] = stack.pop()!;
    const kids = children[i].sort((a, b) => mean(a) - mean(b) || b - a);
    columns.frame[at] = frame[i];
    columns.depth[at] = depth;
    columns.self[at] = (values.nowSelf[i] * by.now + values.baseSelf[i] * by.base) / 2;
    // What the server left out; below rounding errors there is nothing.
    const rest = mean(i) - columns.self[at] - kids.reduce((sum, kid) => sum + mean(kid), 0);
    columns.hidden[at] = rest > mean(0) * 1e-9 ? rest : 0;
    sides.now[at] = values.now[i] * by.now;
    sides.base[at] = values.base[i] * by.base;
    sides.nowSelf[at] = values.nowSelf[i] * by.now;
    sides.baseSelf[at] = values.baseSelf[i] * by.base;
    at++;
    for (const kid of kids) stack.push([kid, depth + 1]);
  }
  columns.total = mean(0);
  return { decoded, sides };
}

function metaOf(raw: RawDiff): Meta {
  return {
    type: raw.type, unit: raw.unit, from: raw.now.from, until: raw.now.until, effective: { from: raw.now.from, until: raw.now.until },
    selector: raw.now.selector, by: raw.by, partial: [...new Set([...raw.now.partial, ...raw.base.partial])],
    windows: raw.now.windows, aggregation: raw.aggregation, aggregationSource: '',
  };
}
