// The state of Explore in its URL: everything that a person would want to share. Defaults are left
// out. The zoom is in the fragment: it can be long, and the server does not need it.

import { DEFAULT_RANGE, type Range, type Span, absolute, isChosen } from './range';
import type { ColourBy } from './colours';
import type { Order } from './layout';
import { type Matcher, formatSelector, parseSelector } from './selector';
import { type Transform, fromText, pushed, toText } from './transforms';
import { traceMatchers } from './tracelink';
import { millis } from './units';
import { isShort, stepOf } from './zoompath';

export type View = 'both' | 'flame' | 'table' | 'sandwich' | 'tree';
export type Growth = 'down' | 'up';
export type Plot = 'stack' | 'lines' | 'heat';

export interface State {
  type: string;
  matchers: Matcher[];
  /** The selector in the URL, if it is invalid; otherwise ''. */
  invalidSelector: string;
  range: Range;
  /** A part of the range, selected on the timeline. */
  pick: Span | null;
  /** Null: by member if the service has members. */
  by: string[] | null;
  view: View;
  /** The path to the zoomed frame, in the short form of `zoompath.ts`. */
  zoom: string[];
  search: string;
  /** Null: by group if there are groups, otherwise by package. */
  colour: ColourBy | null;
  order: Order;
  growth: Growth;
  /** Whether runs of runtime frames take one row each. */
  fold: boolean;
  /** Whether the table shows frames of allocators instead of attributing them to their callers. */
  allocators: boolean;
  plot: Plot;
  /** The function whose callers and callees are shown, as `nameKey`. */
  fn: string;
  /** Whether the source lines of that function are shown. */
  lines: boolean;
  transforms: Transform[];
  /** The id of a captured heap that is shown in place of the archive's profiles; empty for none. */
  capture: string;
  /** Seconds between refreshes; 0: no refreshes. */
  live: number;
}

export const DEFAULTS: State = {
  type: '',
  matchers: [],
  invalidSelector: '',
  range: DEFAULT_RANGE,
  pick: null,
  by: null,
  view: 'both',
  zoom: [],
  search: '',
  colour: null,
  order: 'heavy',
  growth: 'down',
  fold: true,
  allocators: false,
  plot: 'stack',
  fn: '',
  lines: false,
  transforms: [],
  capture: '',
  live: 0,
};

/** A longer search is cut in the URL, which servers and chat programs limit. */
const SEARCH_MAX = 500;

export const LIVE = [0, 5, 15, 60] as const;

export function toUrl(state: State): string {
  const q = new URLSearchParams();
  if (state.type) q.set('type', state.type);
  if (state.matchers.length > 0) q.set('selector', formatSelector(state.matchers));
  else if (state.invalidSelector) q.set('selector', state.invalidSelector);
  if (isChosen(state.range)) q.set('from', state.range.from);
  if (state.range.until !== DEFAULT_RANGE.until) q.set('until', state.range.until);
  if (state.pick) q.set('pick', `${state.pick.from}-${state.pick.until}`);
  if (state.by) q.set('by', state.by.join(','));
  if (state.view !== 'both') q.set('view', state.view);
  if (state.search) q.set('search', state.search.slice(0, SEARCH_MAX));
  if (state.allocators) q.set('allocators', 'shown');
  if (state.colour) q.set('colour', state.colour);
  if (state.order !== 'heavy') q.set('order', state.order);
  if (state.growth !== 'down') q.set('growth', state.growth);
  if (!state.fold) q.set('fold', 'off');
  if (state.plot !== 'stack') q.set('plot', state.plot);
  if (state.fn) q.set('fn', state.fn);
  if (state.lines) q.set('lines', 'shown');
  for (const t of state.transforms) q.append('t', toText(t));
  if (state.capture) q.set('capture', state.capture);
  if (state.live) q.set('live', String(state.live));
  const fragment = new URLSearchParams(state.zoom.length > 0 ? [['zoom', state.zoom.join('.')]] : []);
  const query = readable(q.toString());
  const hash = readable(fragment.toString());
  return `${query ? `?${query}` : ''}${hash ? `#${hash}` : ''}`;
}

function zoomOf(fragment: URLSearchParams): string[] {
  const steps = (fragment.get('zoom') ?? '').split('.').filter((step) => step !== '');
  if (steps.length > 0) return steps.every(isShort) ? steps : [];
  // Links of earlier versions contain the names.
  return fragment.getAll('z').map(stepOf);
}

// URLSearchParams escapes more than a URL needs; these characters are safe, and readable unescaped.
function readable(text: string): string {
  return text
    .replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%7B', '{').replaceAll('%7D', '}')
    .replaceAll('%7E', '~').replaceAll('%28', '(').replaceAll('%29', ')');
}

/**
 * Invalid parts fall back to their defaults, so that old links still open. An invalid selector is
 * kept and shown: without it the page would show other profiles than the link asks for.
 */
export function fromUrl(search: string, hash: string): State {
  const q = new URLSearchParams(search);
  const written = q.get('selector') ?? '';
  const parsed = parseSelector(written);
  const pick = /^(\d+)-(\d+)$/.exec(q.get('pick') ?? '');
  const by = q.get('by');
  const live = Number(q.get('live') ?? 0);
  const one = <T extends string>(key: string, allowed: readonly T[], fallback: T): T => {
    const value = q.get(key) as T | null;
    return value !== null && allowed.includes(value) ? value : fallback;
  };
  const colour = one<ColourBy | ''>('colour', ['group', 'package', 'value'], '');
  return {
    type: q.get('type') ?? '',
    matchers: parsed.ok ? [...parsed.matchers, ...traceMatchers(q, parsed.matchers)] : [],
    invalidSelector: parsed.ok ? '' : written,
    range:
      q.get('from') || q.get('until')
        ? { from: q.get('from') || DEFAULT_RANGE.from, until: q.get('until') || DEFAULT_RANGE.until }
        : DEFAULT_RANGE,
    pick:
      pick && Number(pick[1]) < Number(pick[2])
        ? { from: millis(Number(pick[1])), until: millis(Number(pick[2])) }
        : null,
    by: by === null ? null : by.split(',').filter(Boolean),
    view: one<View>('view', ['both', 'flame', 'table', 'sandwich', 'tree'], 'both'),
    zoom: zoomOf(new URLSearchParams(hash.replace(/^#/, ''))),
    allocators: q.get('allocators') === 'shown',
    search: q.get('search') ?? '',
    colour: colour === '' ? null : colour,
    order: one<Order>('order', ['heavy', 'name'], 'heavy'),
    growth: one<Growth>('growth', ['down', 'up'], 'down'),
    fold: q.get('fold') !== 'off',
    plot: one<Plot>('plot', ['stack', 'lines', 'heat'], 'stack'),
    fn: q.get('fn') ?? '',
    lines: q.get('lines') === 'shown',
    transforms: q.getAll('t').map(fromText).filter((t) => t !== null).reduce(pushed, []),
    capture: /^[0-9A-Z]{26}$/.test(q.get('capture') ?? '') ? q.get('capture')! : '',
    live: (LIVE as readonly number[]).includes(live) ? live : 0,
  };
}

/**
 * The state as a link that shows the same later: its range is absolute, and what depends on the data is written out.
 */
export function pinned(state: State, range: Span, by: string[]): State {
  return { ...state, range: absolute(range), by, live: 0 };
}
