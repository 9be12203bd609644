// Reader of pprof's protocol buffers: https://github.com/google/pprof/blob/main/proto/profile.proto

import { FileError, type LocalProfile, type Stacks } from './profile';
import { Reader, fields } from './protobuf';

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
