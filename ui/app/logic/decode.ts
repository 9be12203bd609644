// Decoder of the viewer's binary format, DAVYTREE version 1: a header of 64 bytes, then columns in
// preorder, each padded to 8 bytes. The header's counts are checked against the limits and the length
// of the input before anything is allocated.

import { crc32 } from './crc32';
import { visible } from './names';

export const LIMITS = {
  nodes: 8_000_000,
  frames: 4_000_000,
  strings: 8_000_000,
  stringBytes: 512 * 1024 * 1024,
  metaBytes: 4 * 1024 * 1024,
  depth: 65_535,
};

export const HEADER_BYTES = 64;
const FLAG_DIFF = 1;

export const FrameKind = { Function: 0, Group: 1, Cut: 2 } as const;

export interface Meta {
  type: string;
  unit: string;
  from: number;
  until: number;
  /** The range that was counted: wider than the one that was asked for where windows have expired. */
  effective: { from: number; until: number };
  selector: string;
  by: string[];
  partial: string[];
  windows: number;
  /** How the windows were combined; null if the server does not say. */
  aggregation: Aggregation | null;
  /** What the aggregation was inferred from, in the server's words; empty if unknown. */
  aggregationSource: string;
  /** The function whose callers or callees the tree has; the root stands for it. */
  function?: About;
}

/** What is known about a function of the whole profile. */
export interface About {
  name: string;
  file: string;
  line: number;
  total: number;
  self: number;
  /** The number of call paths that end in it. */
  paths: number;
  /** The total by group, largest first; empty without groups. */
  groups: { name: string; value: number }[];
}

/** How the windows of a range are combined: averaged for levels such as live heap, added up otherwise. */
export type Aggregation = 'sum' | 'average';

export const aggregationOf = (raw: unknown): Aggregation | null => (raw === 'sum' || raw === 'average' ? raw : null);

/** The decoded columns: one entry per node, in preorder. */
export interface Columns {
  n: number;
  total: number;
  /** The sum of the negative values, which cannot be drawn; 0 or less. */
  negative: number;
  self: Float64Array;
  hidden: Float64Array;
  frame: Uint32Array;
  hiddenChildren: Uint32Array;
  depth: Uint16Array;
}

export interface Frames {
  names: string[];
  files: string[];
  lines: Uint32Array;
  kinds: Uint8Array;
}

export interface Decoded {
  columns: Columns;
  frames: Frames;
  meta: Meta;
  baseTotal: number;
  base: { self: Float64Array; hidden: Float64Array } | null;
}

export class DecodeError extends Error {
  override name = 'DecodeError';
}

const fail = (text: string): never => {
  throw new DecodeError(`Invalid flame graph in the server's response: ${text}.`);
};

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

export function decode(buffer: ArrayBuffer): Decoded {
  if (buffer.byteLength < HEADER_BYTES) {
    fail(`its ${buffer.byteLength} bytes are fewer than the ${HEADER_BYTES} bytes of the header`);
  }
  const head = new DataView(buffer);
  let magic = '';
  for (let i = 0; i < 8; i++) magic += String.fromCharCode(head.getUint8(i));
  if (magic !== 'DAVYTREE') fail('it does not start with DAVYTREE');
  const version = head.getUint16(8, true);
  if (version !== 1) fail(`format version ${version} is not supported, this page reads version 1; reload the page`);
  const flags = head.getUint16(10, true);
  if (flags & ~FLAG_DIFF) fail(`unknown flags 0x${flags.toString(16)}`);
  const diff = (flags & FLAG_DIFF) !== 0;
  const n = count(head, 12, 'nodes', LIMITS.nodes);
  if (n === 0) fail('it has no root node');
  const k = count(head, 16, 'frames', LIMITS.frames);
  const m = count(head, 20, 'strings', LIMITS.strings);
  const s = count(head, 24, 'string bytes', LIMITS.stringBytes);
  const j = count(head, 28, 'metadata bytes', LIMITS.metaBytes);
  const total = head.getFloat64(40, true);
  const baseTotal = head.getFloat64(48, true);
  if (!Number.isFinite(total)) fail(`invalid total ${total}`);
  if (!Number.isFinite(baseTotal)) fail(`invalid base total ${baseTotal}`);

  const sizes = [
    n * 8, n * 8, diff ? n * 8 : 0, diff ? n * 8 : 0, n * 4, n * 4, n * 2,
    k * 4, k * 4, k * 4, k, m * 4, s, j,
  ];
  const offsets: number[] = [];
  let at = HEADER_BYTES;
  for (const size of sizes) {
    offsets.push(at);
    at += padded(size);
  }
  if (at !== buffer.byteLength) fail(`expected ${at} bytes, got ${buffer.byteLength}`);
  const expected = head.getUint32(32, true);
  const actual = crc32(new Uint8Array(buffer, HEADER_BYTES));
  if (expected !== actual) {
    fail(`checksum mismatch: expected ${expected.toString(16)}, got ${actual.toString(16)}; the data was corrupted in transit`);
  }

  const columns: Columns = {
    n,
    total,
    negative: 0,
    self: new Float64Array(buffer, offsets[0], n),
    hidden: new Float64Array(buffer, offsets[1], n),
    frame: new Uint32Array(buffer, offsets[4], n),
    hiddenChildren: new Uint32Array(buffer, offsets[5], n),
    depth: new Uint16Array(buffer, offsets[6], n),
  };
  const base = diff
    ? { self: new Float64Array(buffer, offsets[2], n), hidden: new Float64Array(buffer, offsets[3], n) }
    : null;
  checkNodes(columns, k);
  columns.negative = clearNegative(columns.self) + clearNegative(columns.hidden);

  // Search, tooltips and paths all use the names that are shown. Each string is converted once: any number of frames
  // can refer to it.
  const { strings, shown } = readStrings(
    new Uint32Array(buffer, offsets[11], m),
    new Uint8Array(buffer, offsets[12], s),
  );
  const name = new Uint32Array(buffer, offsets[7], k);
  const file = new Uint32Array(buffer, offsets[8], k);
  const names = new Array<string>(k);
  const files = new Array<string>(k);
  for (let i = 0; i < k; i++) {
    if (name[i] >= m || file[i] >= m) fail(`frame ${i} refers to a string that does not exist`);
    names[i] = shown[name[i]];
    files[i] = strings[file[i]] === '' ? '' : shown[file[i]];
  }
  const kinds = new Uint8Array(buffer, offsets[10], k);
  for (let i = 0; i < k; i++) if (kinds[i] > 2) fail(`frame ${i} has the unknown kind ${kinds[i]}`);

  return {
    columns,
    frames: { names, files, lines: new Uint32Array(buffer, offsets[9], k), kinds },
    meta: readMeta(new Uint8Array(buffer, offsets[13], j)),
    baseTotal,
    base,
  };
}

function count(head: DataView, at: number, what: string, limit: number): number {
  const value = head.getUint32(at, true);
  if (value > limit) fail(`${value} ${what} exceed the limit of ${limit}`);
  return value;
}

function checkNodes({ n, self, hidden, frame, depth }: Columns, k: number): void {
  if (depth[0] !== 0) fail(`the root is at depth ${depth[0]}`);
  for (let i = 0; i < n; i++) {
    if (frame[i] >= k) fail(`node ${i} refers to a frame that does not exist`);
    if (!Number.isFinite(self[i]) || !Number.isFinite(hidden[i])) {
      fail(`node ${i} has an invalid value: self ${self[i]}, hidden ${hidden[i]}`);
    }
    if (i > 0 && (depth[i] === 0 || depth[i] > depth[i - 1] + 1)) {
      fail(`node ${i} at depth ${depth[i]} follows a node at depth ${depth[i - 1]}`);
    }
  }
}

/** Sets negative values to 0, since a frame cannot have a negative width, and returns their sum. */
function clearNegative(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i] < 0) {
      sum += values[i];
      values[i] = 0;
    }
  }
  return sum;
}

/** Browsers limit the length of a string. */
const TEXT_MAX = 256 * 1024 * 1024;

/** The strings as they are, and as they are shown. */
function readStrings(ends: Uint32Array, data: Uint8Array): { strings: string[]; shown: string[] } {
  const utf8 = new TextDecoder();
  // A character for each byte: right for ASCII, and decoding each string by itself takes much longer.
  const text = data.length > TEXT_MAX ? null : new TextDecoder('latin1').decode(data);
  const strings = new Array<string>(ends.length);
  const shown = new Array<string>(ends.length);
  let start = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i];
    if (end < start || end > data.length) fail(`string ${i} ends at ${end}, outside of the string data`);
    // Names of printable ASCII with more than spaces are shown as they are.
    let isPlain = text !== null;
    let isBlank = true;
    for (let at = start; at < end; at++) {
      const byte = data[at];
      if (byte < 0x20 || byte > 0x7e) isPlain = false;
      else if (byte !== 0x20) isBlank = false;
    }
    if (isPlain && !isBlank) {
      strings[i] = shown[i] = text!.slice(start, end);
    } else {
      strings[i] = utf8.decode(data.subarray(start, end));
      shown[i] = visible(strings[i]);
    }
    start = end;
  }
  return { strings, shown };
}

function readMeta(bytes: Uint8Array): Meta {
  let raw: Partial<Record<keyof Meta | 'aggregation_source' | 'effective_from' | 'effective_until', unknown>> = {};
  try {
    raw = JSON.parse(new TextDecoder().decode(bytes)) as typeof raw;
  } catch {
    fail('its metadata is not JSON');
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) fail('its metadata is not an object');
  const text = (x: unknown): string => (typeof x === 'string' ? x : '');
  const number = (x: unknown): number => (typeof x === 'number' ? x : 0);
  const texts = (x: unknown): string[] => (Array.isArray(x) ? x.filter((item) => typeof item === 'string') : []);
  const or = (x: unknown, range: unknown): number => number(typeof x === 'number' ? x : range);
  return {
    type: text(raw.type),
    unit: text(raw.unit),
    from: number(raw.from),
    until: number(raw.until),
    effective: { from: or(raw.effective_from, raw.from), until: or(raw.effective_until, raw.until) },
    selector: text(raw.selector),
    by: texts(raw.by),
    partial: texts(raw.partial),
    windows: number(raw.windows),
    aggregation: aggregationOf(raw.aggregation),
    aggregationSource: text(raw.aggregation_source),
    ...(typeof raw.function === 'object' && raw.function !== null ? { function: readAbout(raw.function as Record<string, unknown>) } : {}),
  };
}

function readAbout(raw: Record<string, unknown>): About {
  const text = (x: unknown): string => (typeof x === 'string' ? x : '');
  const number = (x: unknown): number => (typeof x === 'number' ? x : 0);
  const groups = Array.isArray(raw['groups']) ? (raw['groups'] as Record<string, unknown>[]) : [];
  return {
    name: visible(text(raw['name'])), file: text(raw['file']), line: number(raw['line']),
    total: number(raw['total']), self: number(raw['self']), paths: number(raw['paths']),
    groups: groups.map(({ name, value }) => ({ name: visible(text(name)), value: number(value) })),
  };
}
