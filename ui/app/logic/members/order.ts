// Which lines are on show, and in which order.

import { type Figure, FIGURES, figure } from './usage';
import type { Sort } from './address';
import { type Line, isIdle, severity } from './lines';
import type { History, Trend } from './history';

export interface Order {
  sort: Sort;
  descending: boolean;
  /** Unix milliseconds by the server's clock. */
  now: number;
  history: History;
  trend: Trend;
}

/** What a line is sorted by; names are compared as text elsewhere. */
function weight(line: Line, { sort, now, history, trend }: Order): number {
  switch (sort) {
    case 'name': return 0;
    case 'state': return line.state === '' ? 0 : severity(line.state);
    case 'trend': return history.change(line.key, trend);
    case 'restarts': return line.rows.reduce((n, row) => n + row.restarts, 0);
    case 'run': return Math.max(-1, ...line.rows.map((row) => lateness(row.last_run, now)));
    default: return figure(sort).of(line.usage);
  }
}

/** How many intervals ago the last success was: past 2 it is late. */
function lateness(run: { at: number | null; interval_seconds: number; stale: boolean } | null, now: number): number {
  if (run === null) return -1;
  if (run.at === null) return run.stale ? Number.MAX_VALUE : 0;
  return (now - run.at) / Math.max(1, run.interval_seconds * 1000);
}

const byName = (a: Line, b: Line): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;

/** Equal ones: what never did anything after the rest, then by name. */
const settled = (a: Line, b: Line): number => Number(isIdle(a)) - Number(isIdle(b)) || byName(a, b);

/** Sorted, each list of siblings by itself; equal ones stay put, whichever way the rest goes. */
export function sorted(tree: readonly Line[], order: Order): Line[] {
  const ranked = tree.map((line) => ({ line, rank: weight(line, order) }));
  const way = order.descending ? -1 : 1;
  ranked.sort((a, b) => {
    if (order.sort === 'name') return way * byName(a.line, b.line);
    return a.rank === b.rank ? settled(a.line, b.line) : a.rank < b.rank ? -way : way;
  });
  return ranked.map(({ line }) => ({ ...line, children: sorted(line.children, order) }));
}

/**
 * As they stood before, whatever their figures are now: a line must not move away under the pointer
 * that is about to toggle it off. New ones come last.
 */
export function held(tree: readonly Line[], places: ReadonlyMap<string, number>): Line[] {
  const place = (line: Line): number => places.get(line.key) ?? Number.MAX_SAFE_INTEGER;
  return tree
    .map((line) => ({ ...line, children: held(line.children, places) }))
    .sort((a, b) => place(a) - place(b));
}

export function placesOf(tree: readonly Line[], places = new Map<string, number>()): Map<string, number> {
  for (const line of tree) {
    places.set(line.key, places.size);
    placesOf(line.children, places);
  }
  return places;
}

function words(line: Line): string {
  const parts = [line.name, line.member, line.process ?? '', line.state];
  if (line.endpoint) parts.push(line.endpoint.path, line.endpoint.summary);
  if (line.toggle?.who) parts.push(line.toggle.who, line.toggle.why ?? '');
  if (line.toggle?.enabled === false) parts.push('off');
  for (const row of line.rows) parts.push(row.process, row.host, row.debug, row.error ?? '', row.note ?? '');
  return parts.join('\n').toLowerCase();
}

/**
 * The lines that have every word of the filter. One that has them not, but has a child that does,
 * stays with those children, and is open.
 */
export function filtered(tree: readonly Line[], filter: string): { tree: Line[]; open: Set<string> } {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const open = new Set<string>();
  if (wanted.length === 0) return { tree: [...tree], open };
  const keep = (line: Line, above: string): Line | null => {
    const text = `${above}\n${words(line)}`;
    const inner = line.children.map((child) => keep(child, text)).filter((child) => child !== null);
    // A process is made of its members: it does not match for them.
    const own = wanted.every((w) => (line.kind === 'process' ? `${line.name}`.toLowerCase() : words(line)).includes(w));
    if (own) return line;
    if (inner.length === 0) return wanted.every((w) => text.includes(w)) ? line : null;
    open.add(line.key);
    return { ...line, children: inner };
  };
  const kept = tree.map((line) => keep(line, '')).filter((line) => line !== null);
  return { tree: kept, open };
}

export interface Placed {
  line: Line;
  depth: number;
  open: boolean;
  /** The line itself, or what is told of a member after its operations. */
  part: 'line' | 'facts';
}

/** What is on show from top to bottom; processes are always open. */
export function placed(tree: readonly Line[], open: ReadonlySet<string>, depth = 0): Placed[] {
  return tree.flatMap((line) => {
    const isOpen = line.kind === 'process' || (line.children.length > 0 && open.has(line.key));
    const self: Placed = { line, depth, open: isOpen, part: 'line' };
    if (!isOpen) return [self];
    const inner = placed(line.children, open, depth + 1);
    return line.kind === 'member' ? [self, ...inner, { ...self, part: 'facts' }] : [self, ...inner];
  });
}

/** The largest of a figure among processes and among the rest: what their bars are relative to. */
export interface Largest {
  processes: Record<Figure, number>;
  rest: Record<Figure, number>;
}

export function largest(all: Iterable<Line>): Largest {
  const zero = (): Record<Figure, number> => Object.fromEntries(FIGURES.map((f) => [f.id, 0])) as Record<Figure, number>;
  const out: Largest = { processes: zero(), rest: zero() };
  for (const line of all) {
    const most = mostFor(line, out);
    for (const f of FIGURES) most[f.id] = Math.max(most[f.id], f.of(line.usage));
  }
  return out;
}

export const mostFor = (line: Line, of: Largest): Record<Figure, number> => (line.kind === 'process' ? of.processes : of.rest);
