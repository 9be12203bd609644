// Where the values of a function are in its source: totals by line, and the modules that it was built into. The response is
// a pprof profile of the stacks with the function, grouped by version.

import { Reader, fields } from './files/protobuf';
import { visible } from './names';

export interface SourceLine {
  file: string;
  line: number;
  /** Of the stacks that end in this line. */
  self: number;
  /** Of all stacks with this line, each counted once. */
  total: number;
  /** The version with most of the total; empty if the service has none. */
  version: string;
}

/** A file that the function was built into. */
export interface CodeModule {
  file: string;
  buildId: string;
  total: number;
}

export interface SourceFacts {
  /** By file and line. */
  lines: SourceLine[];
  /** Largest total first. */
  modules: CodeModule[];
  total: number;
}

interface Place {
  line: number;
  fn: number;
}

const VERSION = 'version=';

/** What a profile says about a function; `focus` keeps the stacks that match it, too. */
export function sourceFacts(bytes: Uint8Array, isWanted: (name: string) => boolean, focus: RegExp | null = null): SourceFacts {
  const strings: string[] = [];
  const [samples, locations, functions, mappings]: Uint8Array[][] = [[], [], [], []];
  const utf8 = new TextDecoder();
  new Reader(bytes).each((number, wire, reader) => {
    if (wire !== 2) return false;
    const list = { 2: samples, 3: mappings, 4: locations, 5: functions }[number];
    if (number === 6) strings.push(utf8.decode(reader.part()));
    else if (list !== undefined) list.push(reader.part());
    else return false;
    return true;
  });
  const text = (at: number | undefined): string => strings[at ?? 0] ?? '';
  const functionOf = new Map(functions.map((part) => {
    const { id = 0, name, file } = fields(part, { 1: 'id', 2: 'name', 4: 'file' });
    const shown = visible(text(name));
    const path = text(file);
    return [id, { name: shown, file: path === '' ? '' : visible(path), isWanted: isWanted(shown), isFocus: focus === null || focus.test(shown) || (path !== '' && focus.test(path)) }] as const;
  }));
  const moduleOf = new Map(mappings.map((part) => {
    const { id = 0, file, build } = fields(part, { 1: 'id', 5: 'file', 6: 'build' });
    return [id, { file: visible(text(file)), buildId: text(build), total: 0 } satisfies CodeModule] as const;
  }));
  const locationOf = new Map(locations.map((part) => {
    const inner = new Reader(part);
    let [id, mapping] = [0, 0];
    // The innermost inlined function first.
    const places: Place[] = [];
    inner.each((number, wire) => {
      if (number === 1 && wire === 0) id = inner.varint();
      else if (number === 2 && wire === 0) mapping = inner.varint();
      else if (number === 4 && wire === 2) {
        const { fn = 0, line = 0 } = fields(inner.part(), { 1: 'fn', 2: 'line' });
        places.push({ fn, line });
      } else return false;
      return true;
    });
    return [id, { mapping, places }] as const;
  }));

  const found = new Map<string, SourceLine & { versions: Map<string, number> }>();
  let total = 0;
  for (const part of samples) {
    const inner = new Reader(part);
    const [ids, values]: number[][] = [[], []];
    inner.each((number, wire) => {
      if (number !== 1 && number !== 2) return false;
      inner.numbers(wire, number === 1 ? ids : values);
      return true;
    });
    const value = values[0] ?? 0;
    if (!(value > 0)) continue;
    const stack = ids.flatMap((id) => (locationOf.get(id)?.places ?? []).map((place) => ({ ...place, mapping: locationOf.get(id)!.mapping, of: functionOf.get(place.fn) })));
    if (!stack.some(({ of }) => of?.isFocus)) continue;
    const version = stack.find(({ of, mapping }) => mapping === 0 && of?.name.startsWith(VERSION))?.of!.name.slice(VERSION.length) ?? '';
    const [seen, built] = [new Set<string>(), new Set<number>()];
    stack.forEach(({ line, mapping, of }, i) => {
      if (!of?.isWanted) return;
      const key = `${of.file}\0${line}`;
      let at = found.get(key);
      if (at === undefined) found.set(key, (at = { file: of.file, line, self: 0, total: 0, version: '', versions: new Map() }));
      if (i === 0) at.self += value;
      built.add(mapping);
      if (seen.has(key)) return;
      seen.add(key);
      at.total += value;
      at.versions.set(version, (at.versions.get(version) ?? 0) + value);
    });
    if (seen.size > 0) total += value;
    for (const mapping of built) if (moduleOf.has(mapping)) moduleOf.get(mapping)!.total += value;
  }
  const largest = (versions: Map<string, number>): string => [...versions].sort((a, b) => b[1] - a[1])[0]?.[0].replace('(untagged)', '') ?? '';
  const lines = [...found.values()].map(({ versions, ...line }) => ({ ...line, version: largest(versions) }));
  return {
    total,
    lines: lines.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line)),
    modules: [...moduleOf.values()].filter((one) => one.total > 0).sort((a, b) => b.total - a.total),
  };
}
