// The state of Compare in its URL. The parameters of the query have the names of the API.

import { formatSelector, parseSelector, type Matcher } from '../selector';
import { type Range, type Span, absolute } from '../range';
import { isShort } from '../zoompath';
import { millis } from '../units';
import type { Scale } from './diff';
import type { RankKey } from './rank';

/** One side: its selector as text, which can be invalid, and its range. */
export interface Selection {
  selector: string;
  range: Range;
}

export interface CompareState {
  type: string;
  now: Selection;
  base: Selection;
  by: string[];
  /** Null: per second if the ranges have different lengths, otherwise absolute. */
  scale: Scale | null;
  search: string;
  zoom: string[];
  sort: RankKey;
  view: 'both' | 'flame' | 'sides' | 'table';
  allocators: boolean;
}

const LAST_HOUR: Range = { from: 'now-1h', until: 'now' };
const HOUR_BEFORE: Range = { from: 'now-2h', until: 'now-1h' };

export const COMPARE_DEFAULTS: CompareState = {
  type: '', now: { selector: '', range: LAST_HOUR }, base: { selector: '', range: HOUR_BEFORE },
  by: [], scale: null, search: '', zoom: [], sort: 'self', view: 'both', allocators: false,
};

export function toCompareUrl(s: CompareState): string {
  const q = new URLSearchParams();
  const set = (key: string, value: string): void => {
    if (value !== '') q.set(key, value);
  };
  set('type', s.type);
  set('selector', s.now.selector);
  set('from', s.now.range.from);
  set('until', s.now.range.until);
  set('base_selector', s.base.selector === s.now.selector ? '' : s.base.selector);
  set('base_from', s.base.range.from);
  set('base_until', s.base.range.until);
  set('by', s.by.join(','));
  set('scale', s.scale ?? '');
  set('search', s.search.slice(0, 500));
  if (s.sort !== 'self') set('sort', s.sort);
  if (s.view !== 'both') set('view', s.view);
  if (s.allocators) set('allocators', 'shown');
  const text = q.toString().replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%7B', '{').replaceAll('%7D', '}');
  return `?${text}${s.zoom.length > 0 ? `#zoom=${s.zoom.join('.')}` : ''}`;
}

export function fromCompareUrl(search: string, hash: string): CompareState {
  const q = new URLSearchParams(search);
  const one = <T extends string>(key: string, allowed: readonly T[], fallback: T): T => {
    const value = q.get(key) as T | null;
    return value !== null && allowed.includes(value) ? value : fallback;
  };
  const selector = q.get('selector') ?? '';
  const range = (prefix: string, fallback: Range): Range => ({ from: q.get(`${prefix}from`) || fallback.from, until: q.get(`${prefix}until`) || fallback.until });
  const zoom = (new URLSearchParams(hash.replace(/^#/, '')).get('zoom') ?? '').split('.').filter(Boolean);
  const scale = one<Scale | ''>('scale', ['value', 'rate', 'share'], '');
  return {
    type: q.get('type') ?? '',
    now: { selector, range: range('', LAST_HOUR) },
    base: { selector: q.get('base_selector') || selector, range: range('base_', HOUR_BEFORE) },
    by: (q.get('by') ?? '').split(',').filter(Boolean),
    scale: scale === '' ? null : scale,
    search: q.get('search') ?? '',
    zoom: zoom.every(isShort) ? zoom : [],
    sort: one<RankKey>('sort', ['delta', 'self', 'now', 'base', 'name'], 'self'),
    view: one('view', ['both', 'flame', 'sides', 'table'] as const, 'both'),
    allocators: q.get('allocators') === 'shown',
  };
}

const DAY_MS = 86_400_000;

/** The same range earlier. */
export function earlier(span: Span, by: number): Range {
  return absolute({ from: millis(span.from - by), until: millis(span.until - by) });
}

export interface Preset {
  label: string;
  by: number;
}

/** Bases of the same selection at another time. */
export const presets = (span: Span): Preset[] => [
  { label: 'The range before', by: span.until - span.from },
  { label: 'Same time yesterday', by: DAY_MS },
  { label: 'Same time a week ago', by: 7 * DAY_MS },
];

/** The selection with another value of a label. */
export function withLabel(matchers: Matcher[], name: string, value: string): string {
  return formatSelector([...matchers.filter((m) => m.name !== name), { name, op: '=', value }]);
}

export const matchersOf = (selector: string): Matcher[] => {
  const parsed = parseSelector(selector);
  return parsed.ok ? parsed.matchers : [];
};

export interface From {
  type: string;
  matchers: Matcher[];
  span: Span;
  by: string[];
  allocators: boolean;
}

/** Links to comparisons of what Explore shows with itself at another time. */
export function timeLinks({ type, matchers, span, by, allocators }: From): { label: string; href: string }[] {
  const selector = formatSelector(matchers);
  return presets(span).map((preset) => ({
    label: preset.label,
    href: `./compare${toCompareUrl({
      ...COMPARE_DEFAULTS, type, by, allocators, now: { selector, range: absolute(span) }, base: { selector, range: earlier(span, preset.by) },
    })}`,
  }));
}

/** A link to a comparison of two values of a label in the same range. Shares, since one may have run for longer. */
export function valuesLink({ type, matchers, span, by, allocators }: From, label: string, now: string, base: string): string {
  const range = absolute(span);
  return `./compare${toCompareUrl({
    ...COMPARE_DEFAULTS, type, by: by.filter((name) => name !== label), allocators, scale: 'share',
    now: { selector: withLabel(matchers, label, now), range }, base: { selector: withLabel(matchers, label, base), range },
  })}`;
}

/** Versions in their natural order: 1.9 before 1.10. */
export const inOrder = (versions: string[]): string[] => [...versions].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
