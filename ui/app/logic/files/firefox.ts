// Reader of the Firefox Profiler's format, which samply and others write too: the processed one, whose tables belong to each
// thread or are shared by all, and the one that Gecko dumps.
// https://github.com/firefox-devtools/profiler/blob/main/docs-developer/processed-profile-format.md

import { FileError, type LocalKind, type LocalProfile, type Stacks } from './profile';

type Column = (number | null)[];
type Table = Record<string, unknown>;

interface Thread {
  name?: string;
  pid?: number | string;
  samples: Table;
  [table: string]: unknown;
}

export interface FirefoxProfile {
  meta: { interval?: number };
  threads: Thread[];
  shared?: Table;
  processes?: FirefoxProfile[];
}

/** A column of a table, whose rows are objects of columns, or lists that a schema names. */
function column(table: Table | undefined, name: string): Column | undefined {
  if (table === undefined) return undefined;
  const { schema, data } = table as { schema?: Record<string, number>; data?: unknown[][] };
  if (schema === undefined || data === undefined) return table[name] as Column | undefined;
  const at = schema[name];
  return at === undefined ? undefined : data.map((row) => (row[at] ?? null) as number | null);
}

function writer(doc: FirefoxProfile, thread: Thread): (stacks: Stacks, value: number) => void {
  const table = (name: string): Table | undefined => (thread[name] ?? doc.shared?.[name]) as Table | undefined;
  const strings = (thread['stringArray'] ?? thread['stringTable'] ?? doc.shared?.['stringArray'] ?? []) as string[];
  const [prefix, frame] = [column(table('stackTable'), 'prefix'), column(table('stackTable'), 'frame')];
  const [func, location, line] = ['func', 'location', 'line'].map((name) => column(table('frameTable'), name));
  const [name, file] = ['name', 'fileName'].map((of) => column(table('funcTable'), of));
  const source = column(table('funcTable'), 'source');
  const sources = column(table('sources'), 'filename');
  const stack = column(thread.samples, 'stack');
  const weight = column(thread.samples, 'weight');
  if (prefix === undefined || frame === undefined || stack === undefined || (func ?? location) === undefined) {
    throw new FileError(`the thread ${thread.name ?? ''} of the Firefox profile lacks a table`);
  }
  const text = (at: number | null | undefined): string => (at === null || at === undefined ? '' : String(strings[at] ?? ''));
  const frameOf = (stacks: Stacks, at: number): number => {
    const fn = func?.[at];
    // Gecko's frames have a text with name, file and line.
    if (fn === undefined || fn === null) return stacks.frame(text(location?.[at]));
    const of = file !== undefined ? file[fn] : sources?.[source?.[fn] ?? -1];
    return stacks.frame(text(name?.[fn]), text(of), line?.[at] ?? 0);
  };
  return (stacks, value) => {
    // A stack comes after its prefix, so each is one step from a known node.
    const nodes = new Map<number, number>();
    for (let i = 0; i < prefix.length; i++) {
      const above = prefix[i];
      const parent = above === null ? 0 : nodes.get(above);
      if (parent === undefined) throw new FileError(`the stack ${i} of the Firefox profile comes before its prefix`);
      nodes.set(i, stacks.child(parent, frameOf(stacks, frame[i]!)));
    }
    const [time, deltas] = [column(thread.samples, 'time'), column(thread.samples, 'timeDeltas')];
    let now = 0;
    stack.forEach((at, i) => {
      now = time?.[i] ?? now + (deltas?.[i] ?? 0);
      // Milliseconds.
      if (time !== undefined || deltas !== undefined) stacks.time = now / 1000;
      if (at !== null) stacks.add(nodes.get(at) ?? 0, Math.abs(weight?.[i] ?? 1) * value);
    });
  };
}

export function readFirefox(doc: FirefoxProfile): LocalProfile {
  // Gecko dumps one document for each process.
  const docs = [doc, ...(doc.processes ?? [])];
  const threads = docs.flatMap((one) => one.threads.filter(({ samples }) => (column(samples, 'stack') ?? []).some((at) => at !== null)).map((thread) => ({ doc: one, thread })));
  if (threads.length === 0) throw new FileError('the Firefox profile has no samples');
  const isBytes = ({ thread }: { thread: Thread }): boolean => thread.samples['weightType'] === 'bytes';
  const interval = (of: FirefoxProfile): number => of.meta.interval ?? doc.meta.interval ?? 1;
  const timed = threads.filter((of) => !isBytes(of));
  const sets = timed.length > 1 ? [{ label: 'all threads', of: timed }] : [];
  for (const of of threads) sets.push({ label: of.thread.name ?? 'thread', of: [of] });
  return {
    format: 'Firefox profile',
    kinds: sets.map(({ label, of }): LocalKind => ({ label, unit: isBytes(of[0]) ? 'bytes' : 'milliseconds' })),
    write(kind: number, stacks: Stacks): void {
      for (const one of sets[kind].of) writer(one.doc, one.thread)(stacks, isBytes(one) || one.thread.samples['weightType'] === 'tracing-ms' ? 1 : interval(one.doc));
    },
  };
}
