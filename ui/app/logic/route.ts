// The pages, by the last part of their path: whatever is not another page is Explore.

export type Page = 'explore' | 'members';

/** Addresses of pages, relative to each other: the app works under any path. */
export const PAGES: readonly { id: Page; label: string; href: string }[] = [
  { id: 'explore', label: 'Explore', href: './' },
  { id: 'members', label: 'Members', href: './members' },
];

export function pageOf(pathname: string): Page {
  return pathname.split('/').at(-1) === 'members' ? 'members' : 'explore';
}
