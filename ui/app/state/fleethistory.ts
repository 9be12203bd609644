// The last minutes of the archive, for sparklines that do not begin with a dot.

import { series } from '../api/query';
import type { SeriesAnswer } from '../api/types';
import { type Trend, SPAN_MS } from '../logic/members/history';
import { SERVICE, formatSelector } from '../logic/selector';
import { history } from './fleet';

const STEP_MS = 10_000;
/** The archive has windows some seconds after they end. */
const TYPES: { trend: Trend; type: string; perSecond: number }[] = [
  { trend: 'cpu', type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', perSecond: 1e-9 },
  { trend: 'heap', type: 'memory:inuse_space:bytes:space:bytes', perSecond: 0 },
  { trend: 'alloc', type: 'memory:alloc_space:bytes:space:bytes', perSecond: 1 },
];

/** Asks for the history once. Without an archive, sparklines begin when the page was opened. */
export async function seedHistory(service: string): Promise<void> {
  const until = Date.now();
  const query = { selector: formatSelector([{ name: SERVICE, op: '=', value: service }]), from: until - SPAN_MS, until, step: STEP_MS / 1000, by: 'member,op' };
  const signal = AbortSignal.timeout(10_000);
  await Promise.allSettled(TYPES.map(async ({ trend, type, perSecond }) => {
    const answer = await series({ ...query, type }, signal);
    for (const [key, points] of pointsByLine(answer)) {
      history.seed(key, trend, points.map(([at, value]) => ({ at, value: perSecond === 0 ? value : (value * perSecond) / (STEP_MS / 1000) })), STEP_MS);
    }
  }));
}

/** The points of members, which sum up their operations, and of operations. */
function pointsByLine(answer: SeriesAnswer): Map<string, [number, number][]> {
  const sums = new Map<string, Map<number, number>>();
  for (const { labels, points } of answer.series) {
    const member = labels['member'] ?? '';
    if (member === '') continue;
    for (const key of [member, `${member}/${labels['op'] ?? ''}`]) {
      const sum = sums.get(key) ?? new Map<number, number>();
      for (const [at, value] of points) sum.set(at, (sum.get(at) ?? 0) + value);
      sums.set(key, sum);
    }
  }
  return new Map([...sums].map(([key, sum]) => [key, [...sum].sort((a, b) => a[0] - b[0])]));
}
