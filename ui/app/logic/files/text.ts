// Readers of textual profiles: folded stacks, speedscope and Chrome's .cpuprofile.

import { FileError, type LocalKind, type LocalProfile, type Stacks } from './profile';

/** Lines of `a;b;c 42`; lines that begin with `#` are comments. */
export function readFolded(text: string): LocalProfile {
  const lines = text.split('\n');
  const parsed = lines.filter((line) => line.trim() !== '' && !line.startsWith('#')).map((line, i) => {
    const match = /^(.*)\s(-?\d+(?:\.\d+)?)\s*$/.exec(line);
    if (match === null) throw new FileError(`it is not a known format: as folded stacks, line ${i + 1} does not end in a number`);
    return { stack: match[1], value: Number(match[2]) };
  });
  if (parsed.length === 0) throw new FileError('it is empty');
  return {
    format: 'folded stacks',
    kinds: [{ label: 'samples', unit: 'count' }],
    write(_kind: number, stacks: Stacks): void {
      for (const { stack, value } of parsed) stacks.stack(stack.split(';').filter((name) => name !== '').map((name) => stacks.frame(name)), value);
    },
  };
}

interface Speedscope {
  shared: { frames: { name: string; file?: string; line?: number }[] };
  profiles: {
    type: string; name?: string; unit?: string; startValue?: number;
    samples?: number[][]; weights?: number[];
    events?: { type: string; frame: number; at: number }[];
  }[];
}

/** Seconds of the units in which speedscope's values are times. */
const TIMES: Record<string, number> = { nanoseconds: 1e-9, microseconds: 1e-6, milliseconds: 1e-3, seconds: 1 };
const UNITS: Record<string, string> = { none: 'count', nanoseconds: 'nanoseconds', microseconds: 'microseconds', milliseconds: 'milliseconds', seconds: 'seconds', bytes: 'bytes' };

export function readSpeedscope(doc: Speedscope): LocalProfile {
  const { frames } = doc.shared;
  if (!Array.isArray(frames) || !Array.isArray(doc.profiles) || doc.profiles.length === 0) throw new FileError('the speedscope file has no profiles');
  const kinds = doc.profiles.map(({ name, unit }, i): LocalKind => ({ label: name || `profile ${i + 1}`, unit: UNITS[unit ?? 'none'] ?? 'count' }));
  return {
    format: 'speedscope',
    kinds,
    write(kind: number, stacks: Stacks): void {
      const profile = doc.profiles[kind];
      const own = frames.map(({ name, file, line }) => stacks.frame(String(name), file ?? '', line ?? 0));
      const known = (f: number): number => {
        if (own[f] === undefined) throw new FileError(`the speedscope file refers to the frame ${f}, which does not exist`);
        return own[f];
      };
      const seconds = TIMES[profile.unit ?? ''] ?? NaN;
      if (profile.type === 'sampled') {
        let now = profile.startValue ?? 0;
        profile.samples?.forEach((sample, i) => {
          stacks.time = now * seconds;
          now += profile.weights?.[i] ?? 1;
          stacks.stack(sample.map(known), profile.weights?.[i] ?? 1);
        });
        return;
      }
      // Events: the time between two events is that of the innermost open frame.
      const open: number[] = [0];
      let last = profile.events?.[0]?.at ?? 0;
      for (const { type, frame, at } of profile.events ?? []) {
        stacks.time = last * seconds;
        stacks.add(open[open.length - 1], at - last);
        last = at;
        if (type === 'O') open.push(stacks.child(open[open.length - 1], known(frame)));
        else if (open.length > 1) open.pop();
      }
    },
  };
}

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number }; hitCount?: number; children?: number[] }[];
  samples?: number[];
  timeDeltas?: number[];
  /** In microseconds, as the deltas. */
  startTime?: number;
}

export function readCpuProfile({ nodes, samples = [], timeDeltas = [], startTime = 0 }: CpuProfile): LocalProfile {
  if (!Array.isArray(nodes) || nodes.length === 0) throw new FileError('the .cpuprofile has no nodes');
  const timed = samples.length > 0 && timeDeltas.length >= samples.length;
  return {
    format: 'Chrome CPU profile',
    kinds: [timed ? { label: 'CPU', unit: 'microseconds' } : { label: 'hits', unit: 'count' }],
    write(_kind: number, stacks: Stacks): void {
      const byId = new Map(nodes.map((node) => [node.id, node]));
      const stack: { id: number; at: number }[] = [{ id: nodes[0].id, at: 0 }];
      const seen = new Set<number>();
      const places = new Map<number, number>();
      while (stack.length > 0) {
        const { id, at } = stack.pop()!;
        const node = byId.get(id);
        if (node === undefined || seen.has(id)) throw new FileError(`the .cpuprofile is not a tree at node ${id}`);
        seen.add(id);
        const { functionName, url, lineNumber } = node.callFrame;
        const isRoot = functionName === '(root)';
        const here = isRoot ? at : stacks.child(at, stacks.frame(functionName || '(anonymous)', url, lineNumber + 1));
        places.set(id, here);
        if (!timed) stacks.add(here, node.hitCount ?? 0);
        for (const child of node.children ?? []) stack.push({ id: child, at: here });
      }
      if (!timed) return;
      let now = startTime;
      samples.forEach((id, i) => {
        now += timeDeltas[i] ?? 0;
        stacks.time = now / 1e6;
        // A delta is the time since the sample before.
        stacks.add(places.get(id) ?? 0, Math.max(0, timeDeltas[i + 1] ?? 0));
      });
    },
  };
}
