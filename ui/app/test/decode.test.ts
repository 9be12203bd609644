import { expect, test } from 'vitest';
import { encode, seal } from '../../fixture/encode.mjs';
import { synthetic } from '../../fixture/synthetic.mjs';
import { crc32 as plain } from '../../fixture/crc.mjs';
import { crc32 } from '../logic/crc32';
import { decode } from '../logic/decode';
import { DECODED_META, META, SHOP, binary } from './fixtures';

const NODES = 64;
const changed = (change: (view: DataView) => void, sealed = true): ArrayBuffer => {
  const buffer = binary(SHOP).slice(0);
  change(new DataView(buffer));
  if (sealed) seal(buffer);
  return buffer;
};
const rejects = (buffer: ArrayBuffer, why: RegExp): void => expect(() => decode(buffer)).toThrow(why);

test('an encoded flame graph is decoded to the same data', () => {
  const { columns, frames, meta } = decode(binary(SHOP));
  expect(columns.n).toBe(10);
  expect(columns.total).toBe(60);
  expect([...columns.depth]).toEqual([0, 1, 2, 3, 4, 3, 2, 1, 2, 3]);
  expect(meta).toEqual(DECODED_META);
  expect(frames.files[frames.names.indexOf('query')]).toBe('query.rs');
  expect([...frames.kinds].filter((k) => k === 1)).toHaveLength(2);
});

test('names outside ASCII are preserved', () => {
  const names = ['größe::计算::🔥', 'plain', 'é', '<T as U>::f', '\u00a0x'];
  const buffer = encode({ nodes: names.map((_, i) => ({ self: 1, frame: i, depth: i })), frames: names.map((name) => ({ name })), meta: META });
  expect(decode(buffer).frames.names).toEqual(names);
});

test('control characters in names and files are visible, and no name is blank', () => {
  const names = ['', ' \t', 'a\u001b[2J\r', '\u202eevil\u2028', 'worker 7', 'App\\Http'];
  const frames = names.map((name) => ({ name, file: 'a\u0000.c' }));
  const nodes = names.map((_, i) => ({ self: 1, frame: i, depth: i }));
  const decoded = decode(encode({ nodes, frames, meta: META })).frames;
  expect(decoded.names).toEqual(['(no name)', '\\x20\\x09', 'a\\x1b[2J\\x0d', '\\u{202e}evil\\u{2028}', 'worker 7', 'App\\Http']);
  expect(decoded.files[0]).toBe('a\\x00.c');
});

test('negative values have no width and their sum is kept', () => {
  const nodes = [{ self: 5, frame: 0, depth: 0 }, { self: -3, hidden: -4, hiddenChildren: 1, frame: 0, depth: 1 }];
  const { columns } = decode(encode({ nodes, frames: [{ name: 'a' }], meta: META }));
  expect([...columns.self, ...columns.hidden]).toEqual([5, 0, 0, 0]);
  expect(columns.negative).toBe(-7);
});

test('the aggregation is read from the metadata, and other values are ignored', () => {
  const read = (more: object) => {
    const { meta } = decode(encode({ nodes: [{ self: 1, frame: 0, depth: 0 }], frames: [{ name: 'a' }], meta: { ...META, ...more } }));
    return [meta.aggregation, meta.aggregationSource];
  };
  expect(read({})).toEqual([null, '']);
  expect(read({ aggregation: 'average', aggregation_source: 'profile type' })).toEqual(['average', 'profile type']);
  expect(read({ aggregation: 'sum' })).toEqual(['sum', '']);
  expect(read({ aggregation: 'median', aggregation_source: 7 })).toEqual([null, '']);
});

test('the fast checksum equals the plain one at every length and offset', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  const bytes = Uint8Array.from({ length: 77 }, (_, i) => i * 37);
  for (let from = 0; from < 9; from++) {
    for (let n = from; n <= bytes.length; n++) expect(crc32(bytes.subarray(from, n))).toBe(plain(bytes.subarray(from, n)));
  }
});

test('data that is not a flame graph is rejected with the reason', () => {
  rejects(new ArrayBuffer(10), /10 bytes are fewer than the 64 bytes of the header/);
  rejects(new TextEncoder().encode('<!doctype html>'.padEnd(80)).buffer as ArrayBuffer, /does not start with DAVYTREE/);
  rejects(changed((v) => v.setUint16(8, 2, true)), /version 2 is not supported/);
  rejects(changed((v) => v.setUint16(10, 8, true)), /unknown flags 0x8/);
});

test('counts above the limits are rejected before anything is allocated', () => {
  rejects(changed((v) => v.setUint32(12, 0xffffffff, true)), /4294967295 nodes exceed the limit/);
  rejects(changed((v) => v.setUint32(24, 0xffffffff, true)), /string bytes exceed the limit/);
  rejects(changed((v) => v.setUint32(12, 0, true)), /has no root node/);
  rejects(changed((v) => v.setUint32(12, 100, true)), /expected \d+ bytes, got \d+/);
});

test('a truncated flame graph is rejected', () => {
  const whole = binary(SHOP);
  rejects(whole.slice(0, whole.byteLength - 8), /expected \d+ bytes, got \d+/);
});

test('a corrupted byte anywhere after the header is detected', () => {
  const length = binary(SHOP).byteLength;
  for (let at = 64; at < length; at++) {
    rejects(changed((v) => v.setUint8(at, v.getUint8(at) ^ 0x40), false), /checksum mismatch/);
  }
});

test('nodes that do not form a tree are rejected even with a valid checksum', () => {
  const n = 10;
  const depth = NODES + n * 8 * 2 + n * 4 * 2;
  rejects(changed((v) => v.setUint16(depth + 2, 3, true)), /node 1 at depth 3 follows a node at depth 0/);
  rejects(changed((v) => v.setUint16(depth + 4, 0, true)), /node 2 at depth 0/);
  rejects(changed((v) => v.setFloat64(NODES + 8, Number.NaN, true)), /node 1 has an invalid value: self NaN/);
  rejects(changed((v) => v.setFloat64(NODES + n * 8 + 8, -Infinity, true)), /hidden -Infinity/);
  rejects(changed((v) => v.setUint32(NODES + n * 16 + 4, 99, true)), /node 1 refers to a frame that does not exist/);
});

test('a diff is decoded with its base columns', () => {
  const plainOne = binary('total 1\n  a 2');
  const bytes = new Uint8Array(plainOne);
  // Two more columns of two doubles each after the first two.
  const diff = new Uint8Array(bytes.length + 32);
  diff.set(bytes.subarray(0, 96));
  diff.set(bytes.subarray(96), 128);
  const view = new DataView(diff.buffer);
  view.setUint16(10, 1, true);
  view.setFloat64(104, 9, true);
  seal(diff.buffer);
  const decoded = decode(diff.buffer);
  expect([...decoded.base!.self]).toEqual([0, 9]);
  expect([...decoded.columns.self]).toEqual([1, 2]);
});

test('synthetic trees of the benchmark are valid', () => {
  const { columns, frames } = synthetic(5_000, 3);
  expect(decode(encode({ nodes: null, columns, frames, meta: META })).columns.n).toBe(5_000);
});
