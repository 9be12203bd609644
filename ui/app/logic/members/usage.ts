// Usage of members and operations: sums, and the columns that show it.

import type { Usage } from '../../api/types';
import { formatCount, formatPercent, formatSeconds, formatValue } from '../format';

export const NO_USAGE: Usage = {
  cpu_seconds: 0, cpu: 0, heap_bytes: 0, heap_error_bytes: 0, alloc_bytes: 0, alloc_bytes_per_second: 0,
  tasks: 0, polls: 0, poll_p99_seconds: 0, requests: 0, requests_per_second: 0, request_p99_seconds: 0,
  in_flight: 0, refused: 0, db_queries: 0, db_seconds: 0,
};

/** Independent standard errors add up in quadrature; quantiles cannot be added, so the largest is kept. */
export function sum(parts: readonly Usage[]): Usage {
  const out = { ...NO_USAGE };
  for (const part of parts) {
    for (const key of Object.keys(NO_USAGE) as (keyof Usage)[]) {
      if (key === 'heap_error_bytes') out[key] = Math.hypot(out[key], part[key]);
      else if (key.endsWith('p99_seconds')) out[key] = Math.max(out[key], part[key]);
      else out[key] += part[key];
    }
  }
  return out;
}

export type UsageField = 'heap' | 'cpu' | 'alloc' | 'tasks' | 'poll' | 'rate' | 'request' | 'flight';

export interface UsageColumn {
  id: UsageField;
  label: string;
  /** A sentence that explains the column. */
  title: string;
  of: (usage: Usage) => number;
  format: (value: number) => string;
  /** Whether it has a bar, relative to the largest value of the column. */
  bar?: true;
}

const bytes = (value: number): string => formatValue(value, 'bytes');

/** Cores as per cent of one core. */
export const formatCores = (cores: number): string => formatPercent(Math.max(0, cores * 100));

/** A small rate is never shown as 0. */
export function formatRate(perSecond: number): string {
  if (!(perSecond > 0)) return '0';
  if (perSecond < 0.1) return '<0.1';
  return perSecond >= 100 ? formatCount(Math.round(perSecond)) : perSecond.toFixed(1);
}

export const USAGE_COLUMNS: readonly UsageColumn[] = [
  { id: 'heap', label: 'Heap', title: 'Live heap, estimated from samples', of: (u) => u.heap_bytes, format: bytes, bar: true },
  { id: 'cpu', label: 'CPU', title: 'CPU usage in the last seconds; 100% is one core', of: (u) => u.cpu, format: formatCores, bar: true },
  { id: 'alloc', label: 'Alloc/s', title: 'Bytes allocated per second, in the last seconds', of: (u) => u.alloc_bytes_per_second, format: bytes },
  { id: 'tasks', label: 'Tasks', title: 'Live tasks', of: (u) => u.tasks, format: formatCount },
  { id: 'poll', label: 'Poll p99', title: '99th percentile of the duration of polls, in the last seconds', of: (u) => u.poll_p99_seconds, format: formatSeconds },
  { id: 'rate', label: 'Req/s', title: 'Requests per second, in the last seconds', of: (u) => u.requests_per_second, format: formatRate },
  { id: 'request', label: 'Req p99', title: '99th percentile of the duration of requests, in the last seconds', of: (u) => u.request_p99_seconds, format: formatSeconds },
  { id: 'flight', label: 'In flight', title: 'Requests in progress', of: (u) => u.in_flight, format: formatCount },
];

export const usageColumn = (id: UsageField): UsageColumn => USAGE_COLUMNS.find((column) => column.id === id)!;
