// What the rows of workers and builds say, as text.

import type { BuildRow, Cgroup, WorkerRow } from '../../api/fleet';
import { SERVICE } from '../selector';
import { DEFAULTS, toUrl } from '../urlstate';
import { counted, formatCount, formatDuration, formatSeconds, formatValue } from '../format';

export interface WorkerStatus {
  destroying: number;
  hung: number;
  failed_destroys: number;
  builds: number;
}

const NO_STATUS: WorkerStatus = { destroying: 0, hung: 0, failed_destroys: 0, builds: 0 };

function parsed<T>(text: string | null, fallback: T): T {
  try {
    return text === null ? fallback : { ...fallback, ...(JSON.parse(text) as T) };
  } catch {
    return fallback;
  }
}

export const statusOf = (row: WorkerRow): WorkerStatus => parsed(row.status, NO_STATUS);

function list(text: string): string[] {
  try {
    const found: unknown = JSON.parse(text);
    return Array.isArray(found) ? found.map(String) : [];
  } catch {
    return [];
  }
}

export const tagsOf = (row: WorkerRow): string[] => list(row.tags);
export const foreignOf = (row: WorkerRow): string[] => list(row.foreign_handles);

/** `12 s ago`; what is not a second old is now. */
export function ago(at: number, now: number): string {
  const age = now - at;
  return age < 1_000 ? 'now' : `${formatDuration(age)} ago`;
}

export const bytes = (n: number): string => formatValue(n, 'bytes');

/** The share of the disk that is free, 0 to 1; null if the worker has not said. */
export function freeShare(row: WorkerRow): number | null {
  const { disk_bytes: size, disk_free_bytes: free } = row;
  return size === null || free === null || size <= 0 ? null : free / size;
}

export interface Note {
  tone: 'bad' | 'warn' | 'quiet';
  text: string;
}

/** Unknown handles are named for ten minutes: a snapshot that came back heals within two reports. */
const UNKNOWN_SHOWN_MS = 600_000;

/** What is wrong with a worker, the most urgent first. */
export function notesOf(row: WorkerRow, now: number, containersMax: number): Note[] {
  const notes: Note[] = [];
  const foreign = foreignOf(row);
  const { hung, failed_destroys: failed } = statusOf(row);
  if (foreign.length > 0) notes.push({ tone: 'bad', text: `reports ${counted(foreign.length, 'handle')} of other workers, which nothing happens to: ${foreign.slice(0, 2).join(', ')}${foreign.length > 2 ? ', …' : ''}` });
  if (hung > 0) notes.push({ tone: 'bad', text: `${counted(hung, 'destroy', 'destroys')} hung past the deadline; others go on` });
  if (row.missing > 0) notes.push({ tone: 'warn', text: `${counted(row.missing, 'container or volume', 'containers and volumes')} missing from its report: removed by hand?` });
  if (row.unknown_at !== null && now - row.unknown_at < UNKNOWN_SHOWN_MS) {
    const many = row.unknown_handles > 0 ? `${counted(row.unknown_handles, 'unknown handle')} in its last report` : `unknown handles in a report ${ago(row.unknown_at, now)}, gone since`;
    notes.push({ tone: 'warn', text: `${many}: restored from a snapshot?` });
  }
  const free = freeShare(row);
  if (free !== null && free < 0.1) notes.push({ tone: free < 0.03 ? 'bad' : 'warn', text: `${bytes(row.disk_free_bytes ?? 0)} of the disk free` });
  if (row.containers > 0.9 * containersMax) notes.push({ tone: 'warn', text: `${formatCount(row.containers)} of ${containersMax} containers` });
  if (row.state === 'stalled') notes.push({ tone: 'bad', text: `has not reported since ${ago(row.heartbeat_at, now)}; what it has is kept` });
  if (failed > 0) notes.push({ tone: 'quiet', text: `${counted(failed, 'destroy has', 'destroys have')} failed and were tried again` });
  return notes;
}

/** The command of a build: `sh -c make`. */
export function commandOf(row: BuildRow): string {
  const task = parsed<{ run?: { path?: string; args?: string[] } }>(row.task, {});
  return [task.run?.path ?? '', ...(task.run?.args ?? [])].join(' ').trim();
}

/** Profiles of a build that is over may begin this long after it: the clocks of a worker and of the database differ. */
const CLOCKS_MS = 60_000;

/** The flame graph of a build whose task was sampled; null if it did not ask for that, or has not started. */
export function profileUrl(row: BuildRow): string | null {
  if (!parsed<{ profile?: boolean }>(row.task, {}).profile || row.started_at === null) return null;
  const until = isOver(row) ? String(row.since + CLOCKS_MS) : 'now';
  return `./explore${toUrl({
    ...DEFAULTS,
    type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
    matchers: [{ name: SERVICE, op: '=', value: 'build' }, { name: 'build', op: '=', value: String(row.id) }],
    by: [],
    range: { from: String(row.started_at - CLOCKS_MS), until },
  })}`;
}

/** How long a build ran, has run, or has waited. */
export function durationOf(row: BuildRow, now: number): string {
  const isOver = !['pending', 'started'].includes(row.state);
  const from = row.started_at ?? row.created_at;
  return formatDuration(Math.max(0, (isOver ? row.since : now) - from));
}

/** Whether a build is over. */
export const isOver = (row: BuildRow): boolean => row.state !== 'pending' && row.state !== 'started';

/** How a build ended, or what it waits for. */
export function endingOf(row: BuildRow): string {
  if (row.error !== null && row.error !== '') return row.error;
  if (row.state === 'failed') return `exit code ${row.exit_code ?? '?'}`;
  if (row.state === 'pending') return row.is_ready ? 'waits for a worker' : 'waits for its inputs';
  if (row.is_abort_requested && row.state === 'started') return 'abort requested';
  return '';
}

/** What the cgroup of a task had used when the task ended, as the worker writes it. */
interface Figures {
  cpu_microseconds: number | null;
  memory_peak_bytes: number | null;
  memory_max_bytes: number | null;
  read_bytes: number | null;
  written_bytes: number | null;
  oom_kills: number | null;
}

const NO_CGROUP: Cgroup = {
  cpu_seconds: null, memory_bytes: null, memory_peak_bytes: null, memory_max_bytes: null, read_bytes: null, written_bytes: null, pids: null,
  cpu_pressure_seconds: null, memory_pressure_seconds: null, io_pressure_seconds: null, oom_kills: 0,
};

/** What a build uses, or has used when it is over; null if it is not known. */
export function usageOf(row: BuildRow, running: Cgroup | undefined): Cgroup | null {
  if (!isOver(row)) return running ?? null;
  const { cpu_microseconds: cpu, oom_kills: kills, ...rest } = parsed<Partial<Figures>>(row.usage, {});
  const cgroup = { ...NO_CGROUP, ...rest, cpu_seconds: cpu === undefined || cpu === null ? null : cpu / 1e6, oom_kills: kills ?? 0 };
  return cgroup.cpu_seconds === null && cgroup.memory_peak_bytes === null ? null : cgroup;
}

/** The usage in short: `1.20 s CPU, 34.0 MiB`. While a build runs, its current memory, then the most that it had. */
export function usageText(cgroup: Cgroup): string {
  const memory = cgroup.memory_bytes ?? cgroup.memory_peak_bytes;
  const parts = [
    cgroup.cpu_seconds === null ? '' : `${formatSeconds(cgroup.cpu_seconds)} CPU`,
    memory === null ? '' : bytes(memory),
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** Everything that is known of the usage, a line each. */
export function usageLines(cgroup: Cgroup): string[] {
  const of = (value: number | null, text: (value: number) => string): string => (value === null ? '' : text(value));
  const waited = (what: string, value: number | null): string => of(value, (n) => `waited for ${what}: ${formatSeconds(n)}`);
  const lines = [
    of(cgroup.memory_peak_bytes, (n) => `most memory: ${bytes(n)}`),
    of(cgroup.memory_max_bytes, (n) => `memory limit: ${bytes(n)}`),
    of(cgroup.read_bytes, (n) => `read: ${bytes(n)}`),
    of(cgroup.written_bytes, (n) => `written: ${bytes(n)}`),
    of(cgroup.pids, (n) => counted(n, 'process or thread', 'processes and threads')),
    waited('the CPU', cgroup.cpu_pressure_seconds),
    waited('memory', cgroup.memory_pressure_seconds),
    waited('I/O', cgroup.io_pressure_seconds),
    cgroup.oom_kills > 0 ? `${counted(cgroup.oom_kills, 'process', 'processes')} killed for memory` : '',
  ];
  return lines.filter((line) => line !== '');
}
