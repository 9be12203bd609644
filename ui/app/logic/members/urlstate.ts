// The state of Members in its URL: everything that a person would want to share. Defaults are left out.

import { USAGE_COLUMNS, type UsageField } from './usage';

export const VIEWS = ['member', 'process', 'operation'] as const;
export type By = (typeof VIEWS)[number];

export const SORTS = ['name', 'state', 'trend', 'restarts', 'run', ...USAGE_COLUMNS.map((f) => f.id)] as const;
export type Sort = 'name' | 'state' | 'trend' | 'restarts' | 'run' | UsageField;

export interface MembersView {
  by: By;
  sort: Sort;
  descending: boolean;
  filter: string;
  /** Keys of the open lines. */
  open: string[];
}

/** Names are sorted from A; other columns start with their largest value. */
export const descendsFirst = (sort: Sort): boolean => sort !== 'name';

export const DEFAULT_VIEW: MembersView = { by: 'member', sort: 'heap', descending: true, filter: '', open: [] };

export function membersToUrl(s: MembersView): string {
  const q = new URLSearchParams();
  if (s.by !== DEFAULT_VIEW.by) q.set('by', s.by);
  if (s.sort !== DEFAULT_VIEW.sort) q.set('sort', s.sort);
  if (s.descending !== descendsFirst(s.sort)) q.set('order', s.descending ? 'desc' : 'asc');
  if (s.filter !== '') q.set('filter', s.filter);
  for (const key of s.open) q.append('open', key);
  const text = q.toString().replaceAll('%2F', '/').replaceAll('%3A', ':');
  return text === '' ? '' : `?${text}`;
}

export function membersFromUrl(search: string): MembersView {
  const q = new URLSearchParams(search);
  const by = q.get('by') as By | null;
  const sort = q.get('sort') as Sort | null;
  const sorted = sort !== null && SORTS.includes(sort) ? sort : DEFAULT_VIEW.sort;
  const order = q.get('order');
  return {
    by: by !== null && VIEWS.includes(by) ? by : DEFAULT_VIEW.by,
    sort: sorted,
    descending: order === 'asc' ? false : order === 'desc' ? true : descendsFirst(sorted),
    filter: q.get('filter') ?? '',
    open: [...new Set(q.getAll('open').filter(Boolean))],
  };
}

/** The view after a click on a column header. */
export function sortedBy(s: MembersView, sort: Sort): MembersView {
  return { ...s, sort, descending: s.sort === sort ? !s.descending : descendsFirst(sort) };
}
