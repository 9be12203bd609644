// Rows of members and endpoints as the API returns them, with defaults for most fields.

import type { EndpointRow, LastRun, MemberRow, Toggle } from '../api/types';
import { NO_USAGE } from '../logic/members/usage';
import { type TableLine, lines } from '../logic/members/lines';
import type { By } from '../logic/members/urlstate';

export const NOW = Date.UTC(2026, 2, 1, 3, 12, 0);
export const ON: Toggle = { enabled: true, limit: null, slot_seconds: null, operator: null, why: null, at: null, source: null };
export const OFF: Toggle = { ...ON, enabled: false, operator: 'ada', why: 'memory', at: NOW - 240_000, source: 'live' };

export function member(name: string, more: Partial<MemberRow> = {}): MemberRow {
  return {
    ...NO_USAGE, name, process: 'web', host: 'node-1', pid: 7, debug: '127.0.0.1:6060', state: 'ready', since: NOW - 60_000,
    restarts: 0, leaked: 0, child_pid: null, error: null, note: null, toggle: ON, last_run: null, connections: null,
    age_seconds: 0.5, operations: [],
    kernel: { resident_bytes: 0, cpu_seconds: 0, threads: 1, open_files: 3, memory_limit_bytes: 0 },
    ...more,
  };
}

export const operation = (op: string, heap_bytes = 0) => ({ ...NO_USAGE, op, heap_bytes });

export function endpoint(name: string, of = 'api', more: Partial<EndpointRow> = {}): EndpointRow {
  return { ...NO_USAGE, operation: name, method: 'GET', path: `/api/v1/${name}`, member: of, summary: '', toggle: ON, ...more };
}

export const run = (more: Partial<LastRun> = {}): LastRun => ({
  at: NOW - 30_000, outcome: 'done', error: null, duration_seconds: 0.4, interval_seconds: 60, stale: false, ...more,
});

export function line(name: string, more: Partial<MemberRow> = {}, endpoints: EndpointRow[] = []): TableLine {
  return lines([member(name, more)], endpoints, 'member')[0];
}

export const shape = (tree: readonly TableLine[]): unknown[] =>
  tree.map((l) => (l.children.length > 0 ? [l.name, shape(l.children)] : l.name));

export const named = (rows: MemberRow[], endpoints: EndpointRow[], by: By): unknown[] => shape(lines(rows, endpoints, by));
