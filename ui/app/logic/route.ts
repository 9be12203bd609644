// The app's pages and their paths.

export type Page = 'incident' | 'explore' | 'compare' | 'members' | 'fleet' | 'archive' | 'embed';

/** Links are relative, so that the app works under any path. */
export const PAGES: readonly { id: Page; label: string; href: string }[] = [
  { id: 'incident', label: 'Incident', href: './' },
  { id: 'explore', label: 'Explore', href: './explore' },
  { id: 'compare', label: 'Compare', href: './compare' },
  { id: 'members', label: 'Members', href: './members' },
  { id: 'fleet', label: 'Fleet', href: './fleet' },
  { id: 'archive', label: 'Archive', href: './archive' },
];

/** Parameters that only Explore has: earlier links to it have no path. */
const OF_EXPLORE = ['type', 'selector', 'view', 'search', 'pick', 'fn', 't', 'colour', 'order', 'growth', 'fold', 'plot', 'live', 'allocators', 'capture'];

/** The page of an address, by the last segment of its path; null if there is none. */
export function pageOf({ pathname, search, hash }: { pathname: string; search: string; hash: string }): Page | null {
  const last = pathname.split('/').at(-1)!;
  if (pathname.endsWith('/embed/flamegraph')) return 'embed';
  if (last === '' || last === 'index.html') {
    const query = new URLSearchParams(search);
    return OF_EXPLORE.some((name) => query.has(name)) || /^#z/.test(hash) ? 'explore' : 'incident';
  }
  return PAGES.find(({ id, href }) => id !== 'incident' && href === `./${last}`)?.id ?? null;
}
