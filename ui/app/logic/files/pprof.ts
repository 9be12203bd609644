// Reader of pprof's protocol buffers: https://github.com/google/pprof/blob/main/proto/profile.proto

import { FileError, type LocalProfile, type Stacks } from './profile';

/** A reader of protocol buffers. Numbers above 2^53 lose precision; negative ones are read as such. */
class Reader {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.bytes.length) throw new FileError('the pprof data ends within a number; the file was cut off');
      const byte = this.bytes[this.at++];
      if (shift < 28) low += (byte & 127) * 2 ** shift;
      else high += (byte & 127) * 2 ** (shift - 28);
      if (byte < 128) {
        const value = low + high * 2 ** 28;
        return value >= 2 ** 63 ? value - 2 ** 64 : value;
      }
    }
    throw new FileError('the pprof data has an invalid number');
  }

  part(): Uint8Array {
    const length = this.varint();
    if (length < 0 || this.at + length > this.bytes.length) throw new FileError('the pprof data ends within a message; the file was cut off');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** Calls `field` for each field with its number; it must read the value, or return false to skip it. */
  each(field: (number: number, wire: number) => boolean): void {
    while (this.at < this.bytes.length) {
      const tag = this.varint();
      const wire = tag & 7;
      if (field(Math.floor(tag / 8), wire)) continue;
      if (wire === 0) this.varint();
      else if (wire === 2) this.part();
      else if (wire === 1 || wire === 5) this.at += wire === 1 ? 8 : 4;
      else throw new FileError(`the pprof data has a field of the unknown wire type ${wire}`);
    }
  }

  /** A repeated number, packed or not. */
  numbers(wire: number, into: number[]): void {
    if (wire !== 2) {
      into.push(this.varint());
      return;
    }
    const packed = new Reader(this.part());
    while (packed.at < packed.bytes.length) into.push(packed.varint());
  }
}

function fields(bytes: Uint8Array, names: Record<number, string>): Record<string, number> {
  const reader = new Reader(bytes);
  const out: Record<string, number> = {};
  reader.each((number, wire) => {
    const name = names[number];
    if (name === undefined || wire !== 0) return false;
    out[name] = reader.varint();
    return true;
  });
  return out;
}

export function readPprof(bytes: Uint8Array): LocalProfile {
  const strings: string[] = [];
  const types: Uint8Array[] = [];
  const samples: Uint8Array[] = [];
  const locations: Uint8Array[] = [];
  const functions: Uint8Array[] = [];
  const utf8 = new TextDecoder();
  const reader = new Reader(bytes);
  reader.each((number, wire) => {
    const list = { 1: types, 2: samples, 4: locations, 5: functions }[number];
    if (wire !== 2 || (list === undefined && number !== 6)) return false;
    if (list === undefined) strings.push(utf8.decode(reader.part()));
    else list.push(reader.part());
    return true;
  });
  if (types.length === 0 || strings.length === 0) throw new FileError('it is not a pprof profile: it has no sample types');
  const text = (at: number | undefined): string => strings[at ?? 0] ?? '';
  const kinds = types.map((part) => {
    const { type, unit } = fields(part, { 1: 'type', 2: 'unit' });
    return { label: text(type), unit: text(unit) };
  });
  const functionOf = new Map(functions.map((part) => {
    const f = fields(part, { 1: 'id', 2: 'name', 4: 'file' });
    return [f['id'] ?? 0, { name: text(f['name']), file: text(f['file']) }] as const;
  }));
  const locationOf = new Map(locations.map((part) => {
    const inner = new Reader(part);
    let id = 0;
    let address = 0;
    const lines: { fn: number; line: number }[] = [];
    inner.each((number, wire) => {
      if (number === 1 && wire === 0) id = inner.varint();
      else if (number === 3 && wire === 0) address = inner.varint();
      else if (number === 4 && wire === 2) {
        const { fn, line } = fields(inner.part(), { 1: 'fn', 2: 'line' });
        lines.push({ fn: fn ?? 0, line: line ?? 0 });
      } else return false;
      return true;
    });
    return [id, { address, lines }] as const;
  }));

  return {
    format: 'pprof',
    kinds,
    write(kind: number, stacks: Stacks): void {
      // From the caller to the innermost inlined function.
      const framesOf = new Map([...locationOf].map(([id, { address, lines }]) => {
        const frames = lines.map(({ fn, line }) => {
          const f = functionOf.get(fn);
          return stacks.frame(f?.name ?? '', f?.file ?? '', line);
        });
        return [id, frames.length > 0 ? frames.reverse() : [stacks.frame(`0x${address.toString(16)}`)]] as const;
      }));
      for (const part of samples) {
        const inner = new Reader(part);
        const ids: number[] = [];
        const values: number[] = [];
        inner.each((number, wire) => {
          if (number !== 1 && number !== 2) return false;
          inner.numbers(wire, number === 1 ? ids : values);
          return true;
        });
        stacks.stack(ids.reverse().flatMap((id) => framesOf.get(id) ?? []), values[kind] ?? 0);
      }
    },
  };
}
