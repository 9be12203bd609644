import { useEffect } from 'preact/hooks';
import { PAGES } from '../logic/route';
import { Nav } from './Nav';

/** Shown for a path that is not one of the app's pages. */
export function NotFound() {
  useEffect(() => {
    document.title = 'Page not found · Davy';
  }, []);
  return (
    <div class="page">
      <header class="bar"><Nav page={null} /></header>
      <main class="empty">
        <h1>Page not found</h1>
        <p>Davy has no page at <code>{location.pathname}</code>. Its pages are:</p>
        <ul>{PAGES.map(({ id, label, href }) => <li key={id}><a href={href}>{label}</a></li>)}</ul>
      </main>
    </div>
  );
}
