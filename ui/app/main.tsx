import './style/theme.css';
import './style/page.css';
import './style/header.css';
import './style/panes.css';
import './style/timeline.css';
import './style/tooltip.css';
import './style/narrow.css';
import './style/print.css';
import { render } from 'preact';
import { pageOf } from './logic/route';

// Each page is a separate chunk: a page starts its requests when it is loaded, and the others must not.
const root = document.getElementById('app')!;
const page = pageOf(location);
// Earlier links to Explore have no path.
if (page === 'explore' && !location.pathname.endsWith('/explore')) history.replaceState(null, '', `./explore${location.search}${location.hash}`);

async function load(): Promise<() => preact.JSX.Element> {
  switch (page) {
    case 'members':
      return (await import('./views/members/MembersPage')).MembersPage;
    case 'fleet':
      return (await import('./views/fleet/FleetPage')).FleetPage;
    case 'archive':
      return (await import('./views/archive/ArchivePage')).ArchivePage;
    case 'compare':
      return (await import('./views/compare/ComparePage')).ComparePage;
    case 'embed':
      return (await import('./views/embed/EmbedPage')).EmbedPage;
    case null:
      return (await import('./views/NotFound')).NotFound;
    case 'explore':
      return (await import('./views/App')).App;
    default:
      return (await import('./views/incident/IncidentPage')).IncidentPage;
  }
}

load().then(
  (Page) => render(<Page />, root),
  () => render(
    <main class="empty">
      <h1>The page could not be loaded</h1>
      <p role="alert">A part of its script did not arrive: the connection was cut, or Davy was updated or restarted meanwhile.</p>
      <p><button type="button" class="primary" onClick={() => location.reload()}>Reload</button></p>
    </main>,
    root,
  ),
);
