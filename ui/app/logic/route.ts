// The app's pages and their paths.

export type Page = 'explore' | 'compare' | 'members' | 'fleet' | 'archive';

/** Links are relative, so that the app works under any path. */
export const PAGES: readonly { id: Page; label: string; href: string }[] = [
  { id: 'explore', label: 'Explore', href: './' },
  { id: 'compare', label: 'Compare', href: './compare' },
  { id: 'members', label: 'Members', href: './members' },
  { id: 'fleet', label: 'Fleet', href: './fleet' },
  { id: 'archive', label: 'Archive', href: './archive' },
];

/** The page of a path, by its last segment; null if there is none. */
export function pageOf(pathname: string): Page | null {
  const last = pathname.split('/').at(-1);
  if (last === '' || last === 'index.html') return 'explore';
  return last === 'compare' || last === 'members' || last === 'fleet' || last === 'archive' ? last : null;
}
