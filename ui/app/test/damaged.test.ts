// Damaged flame graphs: seeded mutations are rejected with a reason, or decoded and laid out within the bounds of
// the input.

import { expect, test } from 'vitest';
import { encode, seal } from '../../fixture/encode.mjs';
import { random } from '../../fixture/random.mjs';
import { synthetic } from '../../fixture/synthetic.mjs';
import { DecodeError, HEADER_BYTES, decode } from '../logic/decode';
import { Engine } from '../worker/engine';
import * as merges from '../worker/merges';
import { META, SHOP, binary } from './fixtures';

const NUMBERS = [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const DOUBLES = [0, -0, -1, 5e-324, 1.7e308, -1.7e308, 2 ** 53, Infinity, -Infinity, Number.NaN];

/** The input with one to four mutations; its checksum is then corrected in three of four cases. */
function mutated(whole: ArrayBuffer, rnd: () => number): ArrayBuffer {
  const below = (bound: number): number => Math.floor(rnd() * bound);
  const pick = <T>(list: T[]): T => list[below(list.length)];
  let bytes = new Uint8Array(whole.slice(0));
  for (let left = 1 + below(4); left > 0; left--) {
    const view = new DataView(bytes.buffer);
    const at = below(bytes.length);
    const aligned = at & ~7;
    const end = Math.min(bytes.length, at + below(24));
    switch (below(9)) {
      case 0: bytes[at] ^= 1 << below(8); break;
      case 1: bytes[at] = below(256); break;
      case 2: if (at + 4 <= bytes.length) view.setUint32(at & ~3, pick(NUMBERS), true); break;
      case 3: if (aligned + 8 <= bytes.length) view.setFloat64(aligned, pick(DOUBLES), true); break;
      case 4: bytes = bytes.slice(0, rnd() < 0.5 ? at : aligned); break;
      case 5: bytes.copyWithin(below(bytes.length), at, end); break;
      case 6: bytes = Uint8Array.from([...bytes.subarray(0, end), ...bytes.subarray(at)]); break;
      // The counts and totals of the header.
      case 7: if (bytes.length >= HEADER_BYTES) view.setUint32(12 + 4 * below(5), pick(NUMBERS), true); break;
      default: bytes[8 + below(4)] = below(3);
    }
    if (bytes.length === 0) bytes = new Uint8Array(1);
  }
  if (bytes.length >= HEADER_BYTES && rnd() < 0.75) seal(bytes.buffer);
  return bytes.buffer;
}

/** Loads a flame graph as the worker does. Returns whether it was accepted. */
function load(buffer: ArrayBuffer): boolean {
  const engine = new Engine();
  engine.merges = merges;
  try {
    const { tree, frames } = engine.answer({ kind: 'load', buffer, as: { order: 'name', fold: true, open: [] } }) as ReturnType<Engine['answer']> & {
      tree: { n: number };
      frames: { names: string[] };
    };
    expect(tree.n).toBeLessThanOrEqual(buffer.byteLength);
    expect(frames.names.length).toBeLessThanOrEqual(buffer.byteLength);
    engine.answer({ kind: 'search', matches: { hit: Uint8Array.from(frames.names, () => 1), note: null }, root: 0 });
    engine.answer({ kind: 'top', root: 0, attribute: false });
    return true;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    expect(error.message).toMatch(/^Invalid flame graph in the server's response: .{5,300}\.$/);
    return false;
  }
}

const damage = (whole: ArrayBuffer, rounds: number): void => {
  expect(load(whole.slice(0))).toBe(true);
  const rnd = random(whole.byteLength);
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const buffer = mutated(whole, rnd);
    try {
      if (load(buffer.slice(0))) accepted++;
    } catch (error) {
      throw new Error(`round ${round}, ${Buffer.from(buffer).toString('base64')}`, { cause: error });
    }
  }
  // Otherwise the mutations only test the checksum.
  expect(accepted).toBeGreaterThan(rounds / 50);
};

test('damaged flame graphs are rejected with a reason or loaded', () => {
  damage(binary(SHOP), 4_000);
  damage(binary('total 1\n  a 2'), 4_000);
  const { columns, frames } = synthetic(300, 3);
  damage(encode({ nodes: null, columns, frames: frames.slice(0, 6_000), meta: META }), 100);
}, 30_000);

test('metadata of any JSON type is rejected or ignored', () => {
  const nodes = [{ self: 1, frame: 0, depth: 0 }];
  const read = (meta: unknown) => decode(encode({ nodes, frames: [{ name: 'a' }], meta: meta as object })).meta;
  for (const meta of [null, 7, 'text', [], true]) expect(() => read(meta)).toThrow(/its metadata is not an object/);
  const odd = { toString: 1, valueOf: 1 };
  const meta = read({ type: odd, unit: null, from: odd, until: 'x', selector: 3, by: [odd, 'op', 1], partial: odd, windows: '5' });
  expect(meta).toMatchObject({ type: '', unit: '', from: 0, until: 0, selector: '', by: ['op'], partial: [], windows: 0 });
});

test('a long name with control characters is made visible once, whatever the number of its frames', () => {
  const name = '\u0001'.repeat(100_000);
  const frames = Array.from({ length: 30_000 }, () => ({ name, file: name }));
  const buffer = encode({ nodes: [{ self: 1, frame: 0, depth: 0 }], frames, meta: META });
  const { names, files } = decode(buffer).frames;
  expect(names[29_999]).toBe(names[0]);
  expect(files[29_999].length).toBe(400_000);
}, 10_000);
