import './style/theme.css';
import './style/page.css';
import { render } from 'preact';
import { pageOf } from './logic/route';

// Each page is a chunk of its own: what Explore fetches as soon as it is loaded, Members never asks for.
const root = document.getElementById('app')!;
const page = pageOf(location.pathname);
if (page === 'members') {
  void import('./views/members/MembersPage').then(({ MembersPage }) => render(<MembersPage />, root));
} else if (page === null) {
  void import('./views/NoPage').then(({ NoPage }) => render(<NoPage />, root));
} else {
  void import('./views/App').then(({ App }) => render(<App />, root));
}
