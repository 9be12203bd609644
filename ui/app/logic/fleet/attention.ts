// What needs attention on the Fleet page, the most urgent first.

import type { CollectorRow, FleetOverview, WorkerRow } from '../../api/fleet';
import { counted, formatDuration } from '../format';
import { foreignOf, freeShare, statusOf } from './rows';

export interface Attention {
  id: string;
  tone: 'error' | 'partial';
  title: string;
  text: string;
}

/** Garbage that is older was not destroyed by several reports of its worker. */
const GARBAGE_OLD_MS = 300_000;
const BUILD_WAITS_MS = 60_000;

const names = (rows: WorkerRow[]): string => {
  const some = rows.slice(0, 3).map((row) => row.name).join(', ');
  return rows.length > 3 ? `${some} and ${rows.length - 3} more` : some;
};

/** A collector whose last run failed, or that has not run for two intervals. */
export const isLate = (row: CollectorRow): boolean =>
  row.last_run === null || row.last_run.stale || (row.last_run.outcome !== null && !['done', 'stopped'].includes(row.last_run.outcome));

export function attention(of: FleetOverview, workers: WorkerRow[]): Attention[] {
  const found: Attention[] = [];
  const total = of.workers.reduce((sum, row) => sum + row.workers, 0);
  const inState = (state: string): number => of.workers.find((row) => row.state === state)?.workers ?? 0;
  const foreign = workers.filter((row) => foreignOf(row).length > 0);
  if (foreign.length > 0) {
    found.push({ id: 'foreign', tone: 'error', title: `${counted(foreign.length, 'worker reports', 'workers report')} what belongs to others: ${names(foreign)}.`, text: 'Nothing happens to it. A worker that lies or is a clone loses its session with davy token revoke NAME.' });
  }
  const stalled = inState('stalled');
  if (stalled > 0) {
    const known = workers.filter((row) => row.state === 'stalled');
    found.push({ id: 'stalled', tone: 'error', title: `${counted(stalled, 'worker does', 'workers do')} not report${known.length > 0 ? `: ${names(known)}` : ''}.`, text: `What ${stalled === 1 ? 'it has is kept, and no build is placed on it' : 'they have is kept, and no build is placed on them'}. davy workers retire NAME removes one that does not come back.` });
  }
  const hung = workers.filter((row) => statusOf(row).hung > 0);
  if (hung.length > 0) {
    found.push({ id: 'hung', tone: 'error', title: `Destroys hang on ${names(hung)}.`, text: 'Everything else is collected at the usual pace. The log of the worker names the containers and volumes.' });
  }
  for (const row of of.collectors.filter(isLate)) {
    const run = row.last_run;
    const why = run === null ? 'has never run: no backend hosts it' : run.error ?? (run.stale ? 'has not succeeded for two intervals' : `ended ${run.outcome ?? 'never'}`);
    found.push({ id: `late-${row.member}`, tone: 'error', title: `${row.member} does not collect.`, text: `${row.member} ${run?.error ? 'failed: ' : ''}${why}. The page Members shows where it runs.` });
  }
  const missing = workers.filter((row) => row.missing > 0);
  if (missing.length > 0) {
    found.push({ id: 'missing', tone: 'partial', title: `Containers or volumes are missing from reports of ${names(missing)}.`, text: 'Somebody has removed them by hand, or a disk was restored. Their rows are removed after five minutes of reports.' });
  }
  const unknown = workers.filter((row) => row.unknown_handles > 0);
  if (unknown.length > 0) {
    found.push({ id: 'unknown', tone: 'partial', title: `${names(unknown)} ${unknown.length === 1 ? 'reports' : 'report'} handles that Davy does not know.`, text: 'A snapshot came back, or a database was restored. The worker is told to destroy them, and the next reports lack them.' });
  }
  const old = of.collectors.filter((row) => row.doomed_since !== null && of.now - row.doomed_since > GARBAGE_OLD_MS);
  for (const row of old) {
    found.push({ id: `old-${row.member}`, tone: 'partial', title: `What ${row.member} marked ${formatDuration(of.now - (row.doomed_since ?? of.now))} ago is not destroyed.`, text: 'Its worker is stalled, or its destroys fail or hang.' });
  }
  const full = workers.filter((row) => (freeShare(row) ?? 1) < 0.1);
  if (full.length > 0) {
    found.push({ id: 'disk', tone: 'partial', title: `The disk of ${names(full)} is nearly full.`, text: 'Deletion goes on with a full disk, builds do not. davy workers land NAME keeps new builds away.' });
  }
  const waits = of.builds.pending_since === null ? 0 : of.now - of.builds.pending_since;
  if (waits > BUILD_WAITS_MS) {
    found.push({ id: 'waiting', tone: 'partial', title: `A build has waited for ${formatDuration(waits)}.`, text: total === 0 ? 'There is no worker.' : 'No running worker has its platform and tags, or all are at their capacity.' });
  }
  return found;
}

/** The fleet in one line. */
export function summary(of: FleetOverview): string {
  const total = of.workers.reduce((sum, row) => sum + row.workers, 0);
  if (total === 0) return 'No worker has registered.';
  const sum = (field: 'containers' | 'volumes'): number => of.workers.reduce((all, row) => all + row[field], 0);
  const states = of.workers.map((row) => `${row.workers.toLocaleString('en-US')} ${row.state}`).join(', ');
  return [
    `${counted(total, 'worker')}: ${states}`,
    counted(sum('containers'), 'container'),
    counted(sum('volumes'), 'volume'),
    `${counted(of.builds.started, 'build runs', 'builds run')}, ${of.builds.pending.toLocaleString('en-US')} ${of.builds.pending === 1 ? 'waits' : 'wait'}`,
  ].join(' · ');
}
