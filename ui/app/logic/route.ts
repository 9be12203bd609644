// The pages, by the last part of their path.

export type Page = 'explore' | 'members';

/** Addresses of pages, relative to each other: the app works under any path. */
export const PAGES: readonly { id: Page; label: string; href: string }[] = [
  { id: 'explore', label: 'Explore', href: './' },
  { id: 'members', label: 'Members', href: './members' },
];

/** Null for an address that no page has. */
export function pageOf(pathname: string): Page | null {
  const last = pathname.split('/').at(-1);
  if (last === '' || last === 'index.html') return 'explore';
  return last === 'members' ? 'members' : null;
}
