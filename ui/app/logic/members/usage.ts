// Usages: adding them up, and the columns that show them.

import type { Usage } from '../../api/control';
import { formatCount, formatValue } from '../format';

export const NOTHING: Usage = {
  cpu_seconds: 0, cpu: 0, heap_bytes: 0, heap_error_bytes: 0, alloc_bytes: 0, alloc_bytes_per_second: 0,
  tasks: 0, polls: 0, poll_p99_seconds: 0, requests: 0, requests_per_second: 0, request_p99_seconds: 0,
  in_flight: 0, refused: 0, db_queries: 0, db_seconds: 0,
};

/** Independent errors add up in their squares; quantiles don't add up, so the larger one stays. */
export function sum(usages: readonly Usage[]): Usage {
  const out = { ...NOTHING };
  for (const usage of usages) {
    for (const key of Object.keys(NOTHING) as (keyof Usage)[]) {
      if (key === 'heap_error_bytes') out[key] = Math.hypot(out[key], usage[key]);
      else if (key.endsWith('p99_seconds')) out[key] = Math.max(out[key], usage[key]);
      else out[key] += usage[key];
    }
  }
  return out;
}

export type Figure = 'heap' | 'cpu' | 'alloc' | 'tasks' | 'poll' | 'rate' | 'request' | 'flight';

export interface FigureColumn {
  id: Figure;
  label: string;
  /** What it means, in a sentence. */
  title: string;
  of: (usage: Usage) => number;
  format: (value: number) => string;
  /** Drawn as a bar as well, relative to the largest of its kind. */
  bar?: true;
}

const bytes = (value: number): string => formatValue(value, 'bytes');

/** Cores as per cent of one; what is there but tiny never reads as nothing. */
export function formatCores(cores: number): string {
  const percent = cores * 100;
  if (percent <= 0) return '0 %';
  if (percent < 0.01) return '< 0.01 %';
  return `${percent >= 100 ? percent.toFixed(0) : percent >= 10 ? percent.toFixed(1) : percent.toFixed(2)} %`;
}

/** A quantile is the upper bound of its bucket, so more digits would be invented. */
export function formatSeconds(seconds: number): string {
  if (!(seconds > 0)) return '–';
  if (seconds >= 1) return `${+seconds.toPrecision(3)} s`;
  if (seconds >= 0.001) return `${+(seconds * 1e3).toPrecision(3)} ms`;
  return `${+(seconds * 1e6).toPrecision(3)} µs`;
}

export function formatRate(perSecond: number): string {
  if (!(perSecond > 0)) return '0';
  if (perSecond < 0.1) return '< 0.1';
  return perSecond >= 100 ? formatCount(Math.round(perSecond)) : perSecond.toFixed(1);
}

export const FIGURES: readonly FigureColumn[] = [
  { id: 'heap', label: 'Heap', title: 'Live heap, estimated from samples', of: (b) => b.heap_bytes, format: bytes, bar: true },
  { id: 'cpu', label: 'CPU', title: 'CPU time of the last seconds; 100 % is one core', of: (b) => b.cpu, format: formatCores, bar: true },
  { id: 'alloc', label: 'Alloc/s', title: 'Bytes allocated in a second, over the last seconds', of: (b) => b.alloc_bytes_per_second, format: bytes },
  { id: 'tasks', label: 'Tasks', title: 'Tasks alive', of: (b) => b.tasks, format: formatCount },
  { id: 'poll', label: 'Poll p99', title: '99 of 100 polls of the last seconds took at most so long', of: (b) => b.poll_p99_seconds, format: formatSeconds },
  { id: 'rate', label: 'Req/s', title: 'Requests in a second, over the last seconds', of: (b) => b.requests_per_second, format: formatRate },
  { id: 'request', label: 'Req p99', title: '99 of 100 requests of the last seconds took at most so long', of: (b) => b.request_p99_seconds, format: formatSeconds },
  { id: 'flight', label: 'In flight', title: 'Requests under way now', of: (b) => b.in_flight, format: formatCount },
];

export const figure = (id: Figure): FigureColumn => FIGURES.find((column) => column.id === id)!;
