// Reader of the output of `perf script`: a header for each sample, then its frames from the leaf to the root.

import { FileError, type LocalKind, type LocalProfile, type Stacks } from './profile';

/** `comm  pid/tid [cpu] seconds:  period event: rest` */
const HEADER = /^(.*?)\s+-?\d+(?:\/-?\d+)?(?:\s+\[\d+\])?\s+(\d+\.\d+):\s+(?:(\d+)\s+)?(\S+):(?:\s+(.*))?$/;
/** `address symbol+0x12 (module)` */
const FRAME = /^\s*([0-9a-f]+) (.+)$/i;

function nameOf(line: string): string | null {
  const [, address, text] = FRAME.exec(line) ?? [];
  if (text === undefined) return null;
  const [, symbol = text.trim(), module = ''] = /^(.*?) \(((?:[^()]|\([^()]*\))*)\)?$/.exec(text.trim()) ?? [];
  const name = symbol.replace(/\+0x[0-9a-f]+$/i, '');
  if (name !== '[unknown]') return name;
  const file = module.replace(/ \(deleted\)$/, '').split('/').at(-1)!;
  return file === '' || file === '[unknown]' ? `0x${address}` : `0x${address} (${file})`;
}

/** Whether a text begins with a sample, after comments. */
export function isPerf(text: string): boolean {
  const lines = text.slice(0, 65_536).split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const rest = HEADER.exec(lines[0] ?? '');
  return rest !== null && (nameOf(rest[5] ?? '') !== null || lines.length === 1 || nameOf(lines[1]) !== null);
}

interface Sample {
  event: string;
  /** In seconds. */
  time: number;
  period: number;
  /** From the root. */
  frames: string[];
}

export function readPerf(text: string): LocalProfile {
  const samples: Sample[] = [];
  let sample: Sample | null = null;
  const leafFirst: string[] = [];
  const end = (): void => {
    if (sample !== null) samples.push({ ...sample, frames: [...sample.frames, ...leafFirst.reverse()] });
    sample = null;
    leafFirst.length = 0;
  };
  for (const line of text.split(/\r?\n/)) {
    const header = HEADER.exec(line);
    if (line === '' || header !== null) end();
    if (header !== null) {
      const [, comm, time, period, event, rest = ''] = header;
      sample = { event, time: Number(time), period: Number(period ?? 1), frames: [comm.trim() || '(unnamed)'] };
      const only = nameOf(rest);
      if (only !== null) leafFirst.push(only);
    } else if (sample !== null && !line.startsWith('#')) {
      const name = nameOf(line);
      if (name !== null) leafFirst.push(name);
    }
  }
  end();
  if (samples.length === 0) throw new FileError('the output of perf script has no samples');
  const events = [...new Set(samples.map(({ event }) => event))];
  // The periods of the CPU clocks are nanoseconds.
  const isClock = (event: string): boolean => /^(cpu|task)-clock(:|$)/.test(event);
  return {
    format: 'perf script',
    kinds: events.map((event): LocalKind => ({ label: event, unit: isClock(event) ? 'nanoseconds' : 'count' })),
    write(kind: number, stacks: Stacks): void {
      for (const { event, time, period, frames } of samples) {
        if (event !== events[kind]) continue;
        stacks.time = time;
        stacks.stack(frames.map((name) => stacks.frame(name)), period);
      }
    },
  };
}
