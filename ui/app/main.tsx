import './style/theme.css';
import './style/page.css';
import { render } from 'preact';
import { pageOf } from './logic/route';

// Each page is a separate chunk: a page starts its requests when it is loaded, and the others must not.
const root = document.getElementById('app')!;
const page = pageOf(location.pathname);
if (page === 'members') {
  void import('./views/members/MembersPage').then(({ MembersPage }) => render(<MembersPage />, root));
} else if (page === 'archive') {
  void import('./views/archive/ArchivePage').then(({ ArchivePage }) => render(<ArchivePage />, root));
} else if (page === 'compare') {
  void import('./views/compare/ComparePage').then(({ ComparePage }) => render(<ComparePage />, root));
} else if (page === null) {
  void import('./views/NotFound').then(({ NotFound }) => render(<NotFound />, root));
} else {
  void import('./views/App').then(({ App }) => render(<App />, root));
}
