// Texts of the Archive page: names of levels, times, and what needs attention.

import type { ArchiveKept, ArchiveLevel, ArchiveOverview } from '../../api/types';
import { counted, formatDuration, formatValue } from '../format';
import { ago } from '../members/notes';

const LEVELS: Record<string, string> = { segment: 'Segments', hour: 'Hour blocks', day: 'Day blocks', month: 'Month blocks' };
export const levelName = (level: string): string => LEVELS[level] ?? level;

const FOLDERS: Record<string, string> = {
  segments: 'Segments', hour: 'Hour blocks', day: 'Day blocks', month: 'Month blocks', blocks: 'Blocks', symbols: 'Symbols',
  quarantine: 'Quarantine', table: 'Iceberg tables', artefacts: 'Rendered flame graphs', archivers: 'Presence of archivers', tenants: 'List of tenants', other: 'Other',
};
/** The name of a level as requests are counted by it. */
export const folderName = (level: string): string => FOLDERS[level] ?? level;

const KEPT: Record<string, string> = { windows: 'Windows', hours: 'Sums by hour', days: 'Sums by day' };
export const keptName = (level: string): string => KEPT[level] ?? level;

/** `2026-03-01/05` as `2026-03-01 05:00`; a day as it is. */
export const periodText = (period: string): string => (period.includes('/') ? `${period.replace('/', ' ')}:00` : period || '–');

export const bytesText = (bytes: number): string => formatValue(bytes, 'bytes');

/** Lags above these mean that compaction does not keep up: hours are closed after minutes, days after six hours. */
const LATE_SECONDS: Record<string, number> = { segment: 30 * 60, hour: 12 * 3_600 };

export const isLate = ({ level, lag_seconds }: ArchiveLevel): boolean => lag_seconds > (LATE_SECONDS[level] ?? Infinity);

export const lagText = ({ lag_seconds }: ArchiveLevel): string => (lag_seconds === 0 ? '–' : formatDuration(lag_seconds * 1000));

/** `3 · 1.20 MiB`, or a dash. */
export const amount = (pieces: number, bytes: number): string => (pieces === 0 ? '–' : `${counted(pieces, 'piece')}, ${bytesText(bytes)}`);

export const dueText = (of: ArchiveKept): string => amount(of.due_pieces, of.due_bytes);
export const waitingText = (of: ArchiveKept): string => amount(of.waiting_pieces, of.waiting_bytes);

/** Archivers write their presence at least every few minutes. */
const SEEN_MS = 15 * 60_000;

export interface Attention {
  id: string;
  tone: 'error' | 'partial';
  title: string;
  /** What it means, and what to do. */
  text: string;
}

/** What needs attention, the most urgent first. */
export function attention(of: ArchiveOverview): Attention[] {
  const all: Attention[] = [];
  const { present, last_seen } = of.archivers;
  if (present === 0 || last_seen === null || of.listed_at - last_seen > SEEN_MS) {
    const seen = last_seen === null ? 'None has been seen.' : `The last one was seen ${ago(last_seen, of.listed_at)}.`;
    all.push({
      id: 'no-archiver', tone: 'error', title: 'No archiver compacts this bucket.',
      text: `${seen} Nothing is merged or deleted until the member archive.compactor runs: see Members, or run davy archiver.`,
    });
  }
  for (const level of of.levels.filter(isLate)) {
    const what = level.level === 'segment' ? 'Segments' : 'Hour blocks';
    all.push({
      id: `late-${level.level}`, tone: 'partial', title: `${what} have waited for ${lagText(level)} to be merged.`,
      text: 'Queries stay correct but read more objects. See the log of archive.compactor for "merge failed", or run davy archive compact.',
    });
  }
  if (of.quarantine.objects > 0) {
    all.push({
      id: 'quarantined', tone: 'partial', title: `${counted(of.quarantine.objects, 'damaged object')} in the quarantine.`,
      text: 'Queries of their hours are incomplete and say so. davy archive verify lists what is damaged.',
    });
  }
  for (const kept of of.retention.levels.filter((level) => level.waiting_pieces > 0)) {
    all.push({
      id: `waiting-${kept.level}`, tone: 'partial', title: `${counted(kept.waiting_pieces, 'piece')} (${bytesText(kept.waiting_bytes)}) should have been deleted.`,
      text: 'They are kept because no day block has their sums. davy archive compact merges them.',
    });
  }
  if (of.partial.length > 0) {
    all.push({ id: 'unreadable', tone: 'partial', title: 'Some blocks cannot be read.', text: `${of.partial.join(' ')} Run davy archive verify.` });
  }
  return all;
}
