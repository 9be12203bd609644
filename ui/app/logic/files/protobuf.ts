// Reader of protocol buffers, as pprof files use them.

import { FileError } from './profile';

/** A reader of protocol buffers. Numbers above 2^53 lose precision; negative ones are read as such. */
export class Reader {
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
  each(field: (number: number, wire: number, reader: Reader) => boolean): void {
    while (this.at < this.bytes.length) {
      const tag = this.varint();
      const wire = tag & 7;
      if (field(Math.floor(tag / 8), wire, this)) continue;
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

/** The numbers among the fields of a message, by the names of their fields. */
export function fields(bytes: Uint8Array, names: Record<number, string>): Record<string, number> {
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
