import { PAGES, type Page } from '../logic/route';

/** Focuses the flame graph, the first control of the page's content, or the content if it has none. */
function skip(): void {
  const main = document.querySelector('main');
  const to = main?.querySelector<HTMLElement>('.flame-host canvas') ?? main?.querySelector<HTMLElement>('a, button, input, select, [tabindex="0"]');
  if (to || !main) return to?.focus();
  main.tabIndex = -1;
  main.focus();
}

/** The brand and the links to all pages. */
export function Nav({ page }: { page: Page | null }) {
  return (
    <>
      <button type="button" class="skip" onClick={skip}>Skip to content</button>
      <a class="brand" href={page === null || page === 'incident' ? './' : `./${page}`} title="Reset this page">
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M8 1c1 3-3 4-3 8a3 3 0 0 0 6 0c0-1-.4-1.8-.9-2.5C9.9 8 9 8.3 9 8.3 9.6 6 9.5 3 8 1z" fill="currentColor" />
          <path d="M3 14.5h10" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" />
        </svg>
        Davy
      </a>
      <nav class="nav" aria-label="Pages">
        {PAGES.map(({ id, label, href }) => (
          <a key={id} href={href} aria-current={id === page ? 'page' : undefined}>{label}</a>
        ))}
      </nav>
    </>
  );
}
