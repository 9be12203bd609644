// Texts below a line: why a member failed, who toggled it, which runs are stale; and the summary of the fleet.

import type { Health, MemberRow, Toggle } from '../../api/types';
import { counted, formatDuration, formatSeconds, formatValue } from '../format';
import { isRestricted, isToggled, toggleText } from './actions';
import { NO_STATE, type TableLine, isDisabled, stateText } from './lines';
import { formatCores } from './usage';

export interface Note {
  tone: 'bad' | 'warn' | 'quiet';
  text: string;
}

/** Processes report every two seconds; an older report is outdated. */
export const OLD_REPORT_SECONDS = 10;
const ENDPOINTS_NAMED = 3;

/** Whole seconds: clocks that differ by less than one must not show a time in the future. */
export function ago(at: number, now: number): string {
  return now - at < 1_000 ? 'just now' : `${formatDuration(now - at)} ago`;
}

/** `ago` with the largest unit only, for a column. */
export function agoShort(at: number, now: number): string {
  const text = ago(at, now);
  return /^\d+ \w+ \d+/.test(text) ? text.replace(/^(\d+ \w+) \d+ \w+/, '$1') : text;
}

function toggleNote(what: string, toggle: Toggle, now: number): string {
  const slot = toggle.limit !== null && toggle.slot_seconds !== null ? `, ${toggle.slot_seconds} s per slot` : '';
  const by = toggle.operator === null ? '' : ` by ${toggle.operator}`;
  const when = toggle.at === null ? '' : `, ${ago(toggle.at, now)}`;
  const where = toggle.source !== null && toggle.source !== 'live' ? ` (${toggle.source})` : '';
  return `${what}${slot}${by}${where}${when}${toggle.why === null ? '' : `: ${toggle.why}`}`;
}

const lastReport = (age_seconds: number): string => `last report ${formatDuration(age_seconds * 1000)} ago`;

export function notesOf(line: TableLine, now: number): Note[] {
  if (line.kind === 'process') return processNotes(line.rows[0]);
  const out: Note[] = [];
  const several = line.rows.length > 1;
  for (const row of line.rows) {
    const where = several ? `${row.process} (${row.host}): ` : '';
    // An empty text would make an empty note.
    if (row.error) {
      out.push({ tone: row.state === 'ready' ? 'warn' : 'bad', text: `${where}${row.error}` });
    }
    // The note of a disabled member repeats the operator and reason of its toggle.
    const { operator } = row.toggle;
    const repeats = row.note !== null && operator !== null && (row.note === operator || row.note.startsWith(`${operator}: `));
    if (row.note && !repeats) out.push({ tone: 'quiet', text: `${where}${row.note}` });
    if (row.state !== NO_STATE && row.state !== 'ready' && !isDisabled(row.state)) {
      out.push({ tone: 'quiet', text: `${where}${stateText(row.state)} for ${formatDuration(Math.max(0, now - row.since))}` });
    }
    if (row.leaked > 0) out.push({ tone: 'warn', text: `${where}${counted(row.leaked, 'leaked task')}` });
    if (row.connections !== null && row.connections.waiting > 0) {
      const { waiting, budget } = row.connections;
      out.push({ tone: 'warn', text: `${where}${counted(waiting, 'query', 'queries')} waiting for ${budget === 1 ? 'the only connection' : `one of ${budget} connections`}` });
    }
    if (row.age_seconds > OLD_REPORT_SECONDS) out.push({ tone: 'warn', text: `${where}${lastReport(row.age_seconds)}` });
  }
  const run = line.rows.find((row) => row.last_run !== null)?.last_run ?? null;
  if (run !== null && (run.stale || run.error !== null)) {
    const last = run.at === null ? 'no successful run yet' : `last success ${ago(run.at, now)}`;
    const every = `runs every ${formatDuration(run.interval_seconds * 1000)}`;
    out.push({ tone: 'bad', text: `${run.stale ? 'stale: ' : ''}${last}, ${every}${run.error === null ? '' : `: ${run.error}`}` });
  }
  if (isToggled(line.toggle)) {
    const tone = isRestricted(line.toggle) ? 'warn' : 'quiet';
    out.push({ tone, text: toggleNote(toggleText(line.toggle), line.toggle, now) });
  }
  const restricted = line.kind === 'member' ? line.children.filter((child) => isRestricted(child.toggle)) : [];
  for (const child of restricted.slice(0, ENDPOINTS_NAMED)) {
    out.push({ tone: 'warn', text: toggleNote(`${child.name} ${toggleText(child.toggle!)}`, child.toggle!, now) });
  }
  const more = restricted.length - ENDPOINTS_NAMED;
  if (more > 0) out.push({ tone: 'warn', text: `and ${counted(more, 'more endpoint')}` });
  return out;
}

const bytes = (n: number): string => formatValue(n, 'bytes');

function processNotes({ host, pid, debug, kernel, age_seconds }: MemberRow): Note[] {
  const limit = kernel.memory_limit_bytes;
  const nearLimit = limit > 0 && kernel.resident_bytes > 0.8 * limit;
  const out: Note[] = [
    { tone: 'quiet', text: `pid ${pid} on ${host}` },
    { tone: nearLimit ? 'bad' : 'quiet', text: `resident ${bytes(kernel.resident_bytes)}${limit > 0 ? ` of ${bytes(limit)}` : ''}` },
    { tone: 'quiet', text: counted(kernel.threads, 'thread') },
    { tone: 'quiet', text: counted(kernel.open_files, 'open file') },
  ];
  if (debug !== '') out.push({ tone: 'quiet', text: `debug ${debug}` });
  if (age_seconds > OLD_REPORT_SECONDS) out.unshift({ tone: 'bad', text: lastReport(age_seconds) });
  return out;
}

/** Where a member runs and its totals; shown below its open line. */
export function factsOf(line: TableLine, now: number): { name: string; text: string }[] {
  const { usage } = line;
  const out = line.rows.filter((row) => row.state !== NO_STATE).map((row) => ({
    name: `in ${row.process}`,
    text: [
      `${stateText(row.state)} for ${formatDuration(Math.max(0, now - row.since))}`,
      `pid ${row.pid}${row.child_pid === null ? '' : `, child ${row.child_pid}`} on ${row.host}`,
      `debug ${row.debug}`,
      ...(row.connections === null ? [] : [`${row.connections.in_use} of ${counted(row.connections.budget, 'connection')} in use`]),
    ].join(' · '),
  }));
  if (usage.heap_error_bytes > 0) {
    out.push({ name: 'live heap', text: `${bytes(usage.heap_bytes)} ± ${bytes(usage.heap_error_bytes)} (standard error of sampling)` });
  }
  const totals = [`CPU ${formatSeconds(usage.cpu_seconds)}`, `${bytes(usage.alloc_bytes)} allocated`, counted(usage.polls, 'poll')];
  if (usage.requests > 0) totals.push(`${counted(usage.requests, 'request')}, ${counted(usage.refused, 'refused', 'refused')}`);
  if (usage.db_queries > 0) totals.push(`${counted(usage.db_queries, 'query', 'queries')} in ${formatSeconds(usage.db_seconds)}`);
  out.push({ name: 'since start', text: totals.join(' · ') });
  const run = line.rows.find((row) => row.last_run !== null)?.last_run ?? null;
  if (run !== null) {
    const took = run.duration_seconds === null ? '' : `, took ${formatSeconds(run.duration_seconds)}`;
    out.push({ name: 'last run', text: `${run.outcome ?? 'none'}${run.at === null ? '' : `, ${ago(run.at, now)}`}${took}, runs every ${formatDuration(run.interval_seconds * 1000)}` });
  }
  return out;
}

/** The health issues that the process behind this page reports; null if there are none. */
export function healthText(health: Health | null): { tone: 'bad' | 'warn'; text: string } | null {
  if (health === null || health.status === 'ok') return null;
  const issues = [...health.failing, ...health.degraded];
  const texts = issues.map(({ member, state, error }) => `${member} is ${stateText(state)}${error === null ? '' : ` (${error})`}`);
  return { tone: health.status === 'failing' ? 'bad' : 'warn', text: `${texts.join('; ') || 'no details reported'}.` };
}

/** The fleet in one sentence. */
export function summary(rows: readonly MemberRow[], usage: TableLine['usage']): string {
  const members = new Set(rows.filter((row) => row.state !== NO_STATE).map((row) => row.name)).size;
  const processes = new Set(rows.map((row) => `${row.process}:${row.host}:${row.pid}`)).size;
  const words = [`${counted(members, 'member')} in ${counted(processes, 'process', 'processes')}`];
  const states = new Map<string, number>();
  for (const { state } of rows) {
    const text = stateText(state);
    if (state !== 'ready' && state !== NO_STATE) states.set(text, (states.get(text) ?? 0) + 1);
  }
  for (const [state, n] of states) words.push(`${n} ${state}`);
  words.push(`heap ${bytes(usage.heap_bytes)}`, `CPU ${formatCores(usage.cpu)}`);
  return words.join(' · ');
}
