import { useEffect } from 'preact/hooks';
import { PAGES } from '../logic/route';
import { Nav } from './Nav';

/** An address that no page has. */
export function NoPage() {
  useEffect(() => {
    document.title = 'No such page · Davy';
  }, []);
  return (
    <div class="page">
      <header class="bar"><Nav page={null} /></header>
      <main class="empty">
        <h2>There is no such page</h2>
        <p><code>{location.pathname}</code> is not one of Davy’s pages. They are:</p>
        <ul>{PAGES.map(({ id, label, href }) => <li key={id}><a href={href}>{label}</a></li>)}</ul>
      </main>
    </div>
  );
}
