// What a line has to say besides its figures: why it fell, who toggled it, what is late.

import type { Health, MemberRow } from '../../api/control';
import { formatCount, formatDuration, formatValue } from '../format';
import { formatCores, formatSeconds } from './usage';
import { isCut, isToggled, toggleWord } from './change';
import { NO_STATE, type Line } from './lines';

export interface Note {
  tone: 'bad' | 'warn' | 'quiet';
  text: string;
}

/** Reports come every second or so; one that is older tells of the past. */
export const OLD_REPORT_SECONDS = 10;
const ENDPOINTS_NAMED = 3;

/** Past is told in whole seconds: a second that runs backwards between two clocks is no news. */
export function ago(at: number, now: number): string {
  return now - at < 1_000 ? 'just now' : `${formatDuration(now - at)} ago`;
}

/** The same in the largest unit alone, for a column. */
export function agoShort(at: number, now: number): string {
  const text = ago(at, now);
  return /^\d+ \w+ \d+/.test(text) ? text.replace(/^(\d+ \w+) \d+ \w+/, '$1') : text;
}

function toggled(what: string, said: NonNullable<Line['toggle']>, now: number): string {
  const slot = said.limit !== null && said.slot_seconds !== null ? `, ${said.slot_seconds} s each` : '';
  const by = said.who === null ? '' : ` by ${said.who}`;
  const when = said.at === null ? '' : `, ${ago(said.at, now)}`;
  const where = said.source !== null && said.source !== 'live' ? ` (${said.source})` : '';
  return `${what}${slot}${by}${where}${when}${said.why === null ? '' : `: ${said.why}`}`;
}

export function notesOf(line: Line, now: number): Note[] {
  if (line.kind === 'process') return processNotes(line.rows[0]);
  const out: Note[] = [];
  const several = line.rows.length > 1;
  for (const row of line.rows) {
    const where = several ? `${row.process} (${row.host}): ` : '';
    // What has no words is nothing to say: it would be an empty row.
    if (row.error) {
      out.push({ tone: row.state === 'ready' ? 'warn' : 'bad', text: `${where}${row.error}` });
    }
    // The state says "off", and the toggle says the same words again.
    const repeats = row.note !== null && row.toggle.who !== null && row.note.startsWith(`${row.toggle.who}: `);
    if (row.note && !repeats) out.push({ tone: 'quiet', text: `${where}${row.note}` });
    if (row.state !== NO_STATE && row.state !== 'ready' && row.state !== 'off') {
      out.push({ tone: 'quiet', text: `${where}${row.state} for ${formatDuration(Math.max(0, now - row.since))}` });
    }
    if (row.leaked > 0) out.push({ tone: 'warn', text: `${where}${row.leaked} leaked ${row.leaked === 1 ? 'task' : 'tasks'}` });
    if (row.connections !== null && row.connections.waiting > 0) {
      const { waiting, budget } = row.connections;
      out.push({ tone: 'warn', text: `${where}${waiting} ${waiting === 1 ? 'query waits' : 'queries wait'} for one of ${budget} connections` });
    }
    if (row.age_seconds > OLD_REPORT_SECONDS) {
      out.push({ tone: 'warn', text: `${where}last heard of ${formatDuration(row.age_seconds * 1000)} ago` });
    }
  }
  const run = line.rows.find((row) => row.last_run !== null)?.last_run ?? null;
  if (run !== null && (run.stale || run.error !== null)) {
    const last = run.at === null ? 'no run has succeeded' : `last success ${ago(run.at, now)}`;
    const every = `every ${formatDuration(run.interval_seconds * 1000)}`;
    out.push({ tone: 'bad', text: `${run.stale ? 'late: ' : ''}${last}, ${every}${run.error === null ? '' : `: ${run.error}`}` });
  }
  if (isToggled(line.toggle)) {
    const tone = isCut(line.toggle) ? 'warn' : 'quiet';
    out.push({ tone, text: toggled(toggleWord(line.toggle), line.toggle, now) });
  }
  const cut = line.kind === 'member' ? line.children.filter((child) => isCut(child.toggle)) : [];
  for (const child of cut.slice(0, ENDPOINTS_NAMED)) {
    out.push({ tone: 'warn', text: toggled(`${child.name} ${toggleWord(child.toggle!)}`, child.toggle!, now) });
  }
  if (cut.length > ENDPOINTS_NAMED) out.push({ tone: 'warn', text: `and ${cut.length - ENDPOINTS_NAMED} more endpoints` });
  return out;
}

function processNotes({ host, pid, debug, kernel, age_seconds }: MemberRow): Note[] {
  const bytes = (n: number): string => formatValue(n, 'bytes');
  const limit = kernel.memory_limit_bytes;
  const tight = limit > 0 && kernel.resident_bytes > 0.8 * limit;
  const out: Note[] = [
    { tone: 'quiet', text: `pid ${pid} on ${host}` },
    { tone: tight ? 'bad' : 'quiet', text: `resident ${bytes(kernel.resident_bytes)}${limit > 0 ? ` of ${bytes(limit)}` : ''}` },
    { tone: 'quiet', text: `${formatCount(kernel.threads)} threads` },
    { tone: 'quiet', text: `${formatCount(kernel.open_files)} open files` },
  ];
  if (debug !== '') out.push({ tone: 'quiet', text: `debug ${debug}` });
  if (age_seconds > OLD_REPORT_SECONDS) {
    out.unshift({ tone: 'bad', text: `last heard of ${formatDuration(age_seconds * 1000)} ago` });
  }
  return out;
}

/** Where a member runs and what it has cost in all: shown where its line is open. */
export function factsOf(line: Line, now: number): { name: string; text: string }[] {
  const { usage } = line;
  const out = line.rows.filter((row) => row.state !== NO_STATE).map((row) => ({
    name: `in ${row.process}`,
    text: [
      `${row.state} for ${formatDuration(Math.max(0, now - row.since))}`,
      `pid ${row.pid}${row.child_pid === null ? '' : `, child ${row.child_pid}`} on ${row.host}`,
      `debug ${row.debug}`,
      ...(row.connections === null ? [] : [`${row.connections.in_use} of ${row.connections.budget} connections in use`]),
    ].join(' · '),
  }));
  if (usage.heap_error_bytes > 0) {
    const error = formatValue(usage.heap_error_bytes, 'bytes');
    out.push({ name: 'live heap', text: `${formatValue(usage.heap_bytes, 'bytes')} ± ${error} (standard error of the samples)` });
  }
  const totals = [`CPU ${formatSeconds(usage.cpu_seconds)}`, `allocated ${formatValue(usage.alloc_bytes, 'bytes')}`, `${formatCount(usage.polls)} polls`];
  if (usage.requests > 0) totals.push(`${formatCount(usage.requests)} requests, ${formatCount(usage.refused)} of them refused`);
  if (usage.db_queries > 0) totals.push(`${formatCount(usage.db_queries)} queries in ${formatSeconds(usage.db_seconds)}`);
  out.push({ name: 'since the start', text: totals.join(' · ') });
  const run = line.rows.find((row) => row.last_run !== null)?.last_run ?? null;
  if (run !== null) {
    const took = run.duration_seconds === null ? '' : `, took ${formatSeconds(run.duration_seconds)}`;
    out.push({ name: 'last run', text: `${run.outcome ?? 'none'}${run.at === null ? '' : `, ${ago(run.at, now)}`}${took}, every ${formatDuration(run.interval_seconds * 1000)}` });
  }
  return out;
}

/** What is wrong, as the process that answered sees it; null when nothing is. */
export function healthWords(health: Health | null): { tone: 'bad' | 'warn'; text: string } | null {
  if (health === null || health.status === 'ok') return null;
  const all = [...health.failing, ...health.degraded];
  const told = all.map(({ member, state, error }) => `${member} is ${state}${error === null ? '' : ` (${error})`}`);
  return { tone: health.status === 'failing' ? 'bad' : 'warn', text: `${told.join('; ') || 'no reason was given'}.` };
}

/** The fleet in a sentence. */
export function summary(rows: readonly MemberRow[], usage: Line['usage']): string {
  const members = new Set(rows.filter((row) => row.state !== NO_STATE).map((row) => row.name)).size;
  const processes = new Set(rows.map((row) => `${row.process}:${row.host}:${row.pid}`)).size;
  const words = [`${members} ${members === 1 ? 'member' : 'members'} in ${processes} ${processes === 1 ? 'process' : 'processes'}`];
  const states = new Map<string, number>();
  for (const { state } of rows) if (state !== 'ready' && state !== NO_STATE) states.set(state, (states.get(state) ?? 0) + 1);
  for (const [state, n] of states) words.push(`${n} ${state}`);
  words.push(`heap ${formatValue(usage.heap_bytes, 'bytes')}`, `CPU ${formatCores(usage.cpu)}`);
  return words.join(' · ');
}
