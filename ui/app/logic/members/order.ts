// The visible lines of the table and their order.

import { type UsageField, USAGE_COLUMNS, usageColumn } from './usage';
import type { Sort } from './urlstate';
import { type TableLine, isIdle, severity, stateText } from './lines';
import type { History, Trend } from './history';

export interface Order {
  sort: Sort;
  descending: boolean;
  /** Unix milliseconds by the server's clock. */
  now: number;
  history: History;
  trend: Trend;
}

/** The sort value of a line; names are compared as text. */
function weight(line: TableLine, { sort, now, history, trend }: Order): number {
  switch (sort) {
    case 'name': return 0;
    case 'state': return line.state === '' ? 0 : severity(line.state);
    case 'trend': return history.change(line.key, trend);
    case 'restarts': return line.rows.reduce((n, row) => n + row.restarts, 0);
    case 'run': return Math.max(-1, ...line.rows.map((row) => staleness(row.last_run, now)));
    default: return usageColumn(sort).of(line.usage);
  }
}

/** Intervals since the last success; a run is stale after two. */
function staleness(run: { at: number | null; interval_seconds: number; stale: boolean } | null, now: number): number {
  if (run === null) return -1;
  if (run.at === null) return run.stale ? Number.MAX_VALUE : 0;
  return (now - run.at) / Math.max(1, run.interval_seconds * 1000);
}

const byName = (a: TableLine, b: TableLine): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;

/** The order of equal values: idle lines last, then by name. */
const byIdleThenName = (a: TableLine, b: TableLine): number => Number(isIdle(a)) - Number(isIdle(b)) || byName(a, b);

/** Sorts siblings at every level. Equal values keep their order in either direction. */
export function sorted(tree: readonly TableLine[], order: Order): TableLine[] {
  const ranked = tree.map((line) => ({ line, rank: weight(line, order) }));
  const sign = order.descending ? -1 : 1;
  ranked.sort((a, b) => {
    if (order.sort === 'name') return sign * byName(a.line, b.line);
    return a.rank === b.rank ? byIdleThenName(a.line, b.line) : a.rank < b.rank ? -sign : sign;
  });
  return ranked.map(({ line }) => ({ ...line, children: sorted(line.children, order) }));
}

/**
 * The lines in the given positions: a line must not move while the user is about to click it. New
 * lines come last.
 */
export function inPositions(tree: readonly TableLine[], positions: ReadonlyMap<string, number>): TableLine[] {
  const position = (line: TableLine): number => positions.get(line.key) ?? Number.MAX_SAFE_INTEGER;
  return tree
    .map((line) => ({ ...line, children: inPositions(line.children, positions) }))
    .sort((a, b) => position(a) - position(b));
}

export function positionsOf(tree: readonly TableLine[], positions = new Map<string, number>()): Map<string, number> {
  for (const line of tree) {
    positions.set(line.key, positions.size);
    positionsOf(line.children, positions);
  }
  return positions;
}

function words(line: TableLine): string {
  const parts = [line.name, line.member, line.process ?? '', stateText(line.state)];
  if (line.endpoint) parts.push(line.endpoint.path, line.endpoint.summary);
  if (line.toggle?.operator) parts.push(line.toggle.operator, line.toggle.why ?? '');
  if (line.toggle?.enabled === false) parts.push('disabled');
  for (const row of line.rows) parts.push(row.process, row.host, row.debug, row.error ?? '', row.note ?? '');
  return parts.join('\n').toLowerCase();
}

/** The lines that contain every word of the filter. A parent of such lines is kept and opened. */
export function filtered(tree: readonly TableLine[], filter: string): { tree: TableLine[]; open: Set<string> } {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const open = new Set<string>();
  if (wanted.length === 0) return { tree: [...tree], open };
  const keep = (line: TableLine, above: string): TableLine | null => {
    const text = `${above}\n${words(line)}`;
    const inner = line.children.map((child) => keep(child, text)).filter((child) => child !== null);
    // A process matches by its own name only; its members match by themselves.
    const own = wanted.every((w) => (line.kind === 'process' ? `${line.name}`.toLowerCase() : words(line)).includes(w));
    if (own) return line;
    if (inner.length === 0) return wanted.every((w) => text.includes(w)) ? line : null;
    open.add(line.key);
    return { ...line, children: inner };
  };
  const kept = tree.map((line) => keep(line, '')).filter((line) => line !== null);
  return { tree: kept, open };
}

export interface VisibleLine {
  line: TableLine;
  depth: number;
  open: boolean;
  /** The line itself, or the facts about a member below its operations. */
  part: 'line' | 'facts';
}

/** The visible lines from top to bottom; processes are always open. */
export function visibleLines(tree: readonly TableLine[], open: ReadonlySet<string>, depth = 0): VisibleLine[] {
  return tree.flatMap((line) => {
    const isOpen = line.kind === 'process' || (line.children.length > 0 && open.has(line.key));
    const self: VisibleLine = { line, depth, open: isOpen, part: 'line' };
    if (!isOpen) return [self];
    const inner = visibleLines(line.children, open, depth + 1);
    return line.kind === 'member' ? [self, ...inner, { ...self, part: 'facts' }] : [self, ...inner];
  });
}

/** The largest value of each column, which bars are relative to: for processes and for other lines. */
export interface Scales {
  processes: Record<UsageField, number>;
  rest: Record<UsageField, number>;
}

export function scalesOf(all: Iterable<TableLine>): Scales {
  const zero = (): Record<UsageField, number> => Object.fromEntries(USAGE_COLUMNS.map((f) => [f.id, 0])) as Record<UsageField, number>;
  const out: Scales = { processes: zero(), rest: zero() };
  for (const line of all) {
    const most = scaleFor(line, out);
    for (const f of USAGE_COLUMNS) most[f.id] = Math.max(most[f.id], f.of(line.usage));
  }
  return out;
}

export const scaleFor = (line: TableLine, of: Scales): Record<UsageField, number> => (line.kind === 'process' ? of.processes : of.rest);
