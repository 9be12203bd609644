// What of the page somebody would share, in its address. What is at its default is left out.

import { FIGURES, type Figure } from './usage';

export const VIEWS = ['member', 'process', 'operation'] as const;
export type By = (typeof VIEWS)[number];

export const SORTS = ['name', 'state', 'trend', 'restarts', 'run', ...FIGURES.map((f) => f.id)] as const;
export type Sort = 'name' | 'state' | 'trend' | 'restarts' | 'run' | Figure;

export interface Shown {
  by: By;
  sort: Sort;
  descending: boolean;
  filter: string;
  /** Keys of the lines that are open. */
  open: string[];
}

/** Names read from A; of everything else the most is what one looks for. */
export const descendsFirst = (sort: Sort): boolean => sort !== 'name';

export const DEFAULT_SHOWN: Shown = { by: 'member', sort: 'heap', descending: true, filter: '', open: [] };

export function toAddress(s: Shown): string {
  const q = new URLSearchParams();
  if (s.by !== DEFAULT_SHOWN.by) q.set('by', s.by);
  if (s.sort !== DEFAULT_SHOWN.sort) q.set('sort', s.sort);
  if (s.descending !== descendsFirst(s.sort)) q.set('order', s.descending ? 'desc' : 'asc');
  if (s.filter !== '') q.set('filter', s.filter);
  for (const key of s.open) q.append('open', key);
  const text = q.toString().replaceAll('%2F', '/').replaceAll('%3A', ':');
  return text === '' ? '' : `?${text}`;
}

export function fromAddress(search: string): Shown {
  const q = new URLSearchParams(search);
  const by = q.get('by') as By | null;
  const sort = q.get('sort') as Sort | null;
  const sorted = sort !== null && SORTS.includes(sort) ? sort : DEFAULT_SHOWN.sort;
  const order = q.get('order');
  return {
    by: by !== null && VIEWS.includes(by) ? by : DEFAULT_SHOWN.by,
    sort: sorted,
    descending: order === 'asc' ? false : order === 'desc' ? true : descendsFirst(sorted),
    filter: q.get('filter') ?? '',
    open: [...new Set(q.getAll('open').filter(Boolean))],
  };
}

/** The order after a click on a column's head. */
export function sortedBy(s: Shown, sort: Sort): Shown {
  return { ...s, sort, descending: s.sort === sort ? !s.descending : descendsFirst(sort) };
}
