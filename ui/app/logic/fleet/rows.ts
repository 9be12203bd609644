// What the rows of workers and builds say, as text.

import type { BuildRow, WorkerRow } from '../../api/fleet';
import { counted, formatCount, formatDuration, formatValue } from '../format';

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
