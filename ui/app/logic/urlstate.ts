// All that a person would share, in the address. What is at its default is left out. The zoom is in
// the fragment: it can be long, and no server needs it.

import { DEFAULT_RANGE, type Range, type Span, isChosen } from './range';
import type { ColourBy } from './colours';
import type { Order } from './layout';
import { type Matcher, formatSelector, parseSelector } from './selector';
import { millis } from './units';

export type View = 'both' | 'flame' | 'table';
export type Growth = 'down' | 'up';
export type Plot = 'stack' | 'lines';

export interface State {
  type: string;
  matchers: Matcher[];
  /** The selector of the address as it stood there, where it cannot be read; else ''. */
  unread: string;
  range: Range;
  /** A part of the range, chosen on the timeline. */
  pick: Span | null;
  /** Null: by member where the service has members. */
  by: string[] | null;
  view: View;
  zoom: string[];
  search: string;
  /** Null: by group where there are groups, else by package. */
  colour: ColourBy | null;
  order: Order;
  growth: Growth;
  /** Whether runs of the runtime's frames take one row each. */
  fold: boolean;
  plot: Plot;
  /** Seconds between refreshes; 0 is off. */
  live: number;
}

export const DEFAULTS: State = {
  type: '',
  matchers: [],
  unread: '',
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
  plot: 'stack',
  live: 0,
};

export const LIVE = [0, 5, 15, 60] as const;

export function toUrl(state: State): string {
  const q = new URLSearchParams();
  if (state.type) q.set('type', state.type);
  if (state.matchers.length > 0) q.set('selector', formatSelector(state.matchers));
  else if (state.unread) q.set('selector', state.unread);
  if (isChosen(state.range)) q.set('from', state.range.from);
  if (state.range.until !== DEFAULT_RANGE.until) q.set('until', state.range.until);
  if (state.pick) q.set('pick', `${state.pick.from}-${state.pick.until}`);
  if (state.by) q.set('by', state.by.join(','));
  if (state.view !== 'both') q.set('view', state.view);
  if (state.search) q.set('search', state.search);
  if (state.colour) q.set('colour', state.colour);
  if (state.order !== 'heavy') q.set('order', state.order);
  if (state.growth !== 'down') q.set('growth', state.growth);
  if (!state.fold) q.set('fold', 'off');
  if (state.plot !== 'stack') q.set('plot', state.plot);
  if (state.live) q.set('live', String(state.live));
  const fragment = new URLSearchParams(state.zoom.map((name) => ['z', name]));
  const query = tidy(q.toString());
  const hash = tidy(fragment.toString());
  return `${query ? `?${query}` : ''}${hash ? `#${hash}` : ''}`;
}

// URLSearchParams escapes more than an address needs; these are safe and make it readable.
function tidy(text: string): string {
  return text
    .replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%7B', '{').replaceAll('%7D', '}')
    .replaceAll('%7E', '~').replaceAll('%28', '(').replaceAll('%29', ')');
}

/** Whatever is unknown falls back to its default: an old link still opens. A selector is what the page is about, so one that cannot be read is kept to be shown. */
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
    matchers: parsed.ok ? parsed.matchers : [],
    unread: parsed.ok ? '' : written,
    range:
      q.get('from') || q.get('until')
        ? { from: q.get('from') || DEFAULT_RANGE.from, until: q.get('until') || DEFAULT_RANGE.until }
        : DEFAULT_RANGE,
    pick:
      pick && Number(pick[1]) < Number(pick[2])
        ? { from: millis(Number(pick[1])), until: millis(Number(pick[2])) }
        : null,
    by: by === null ? null : by.split(',').filter(Boolean),
    view: one<View>('view', ['both', 'flame', 'table'], 'both'),
    zoom: new URLSearchParams(hash.replace(/^#/, '')).getAll('z'),
    search: q.get('search') ?? '',
    colour: colour === '' ? null : colour,
    order: one<Order>('order', ['heavy', 'name'], 'heavy'),
    growth: one<Growth>('growth', ['down', 'up'], 'down'),
    fold: q.get('fold') !== 'off',
    plot: one<Plot>('plot', ['stack', 'lines'], 'stack'),
    live: (LIVE as readonly number[]).includes(live) ? live : 0,
  };
}
