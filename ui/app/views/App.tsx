import 'uplot/dist/uPlot.min.css';
import '../style/panes.css';
import '../style/tooltip.css';
import '../style/narrow.css';
import { useEffect, useRef } from 'preact/hooks';
import { typeLabel } from '../logic/format';
import { flame, services, types } from '../state/data';
import { pick, service, span, state } from '../state/explore';
import { zoomOut } from '../state/viewing';
import { Breadcrumb } from './Breadcrumb';
import { Empty } from './Empty';
import { Filters } from './Filters';
import { FlamePane } from './FlamePane';
import { Header } from './Header';
import { Notices } from './Notices';
import { StatusBar } from './StatusBar';
import { Timeline } from './Timeline';
import { Toolbar } from './Toolbar';
import { TopTable } from './TopTable';

/** Whether a key belongs to the field that has the focus. */
function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null;
}

export function App() {
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const key = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      if (e.key === '/') {
        e.preventDefault();
        search.current?.focus();
        search.current?.select();
      } else if (e.key === 'Escape' && !zoomOut() && state.value.pick) {
        pick(null);
      }
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);

  const { view, type } = state.value;
  const name = service.value;
  useEffect(() => {
    document.title = name === null ? 'Davy' : `${name} · ${typeLabel(type)} · Davy`;
  }, [name, type]);
  return (
    <div class="page">
      <Header />
      <Filters />
      <Notices />
      <Body view={view} search={search} />
      <StatusBar />
    </div>
  );
}

function Body({ view, search }: { view: string; search: preact.RefObject<HTMLInputElement | null> }) {
  const known = services.state.value;
  const graph = flame.state.value;
  const nothing = graph.data !== null && graph.data.tree.sum[0] === 0;
  if (span.value === null) return <main class="empty"><p>The range is not readable: its start has to come before its end.</p></main>;
  const noService = known.data?.length === 0 && state.value.matchers.length === 0;
  const noType = types.state.value.data?.length === 0 && state.value.type === '';
  if (noService || noType || state.value.unread !== '') return <Empty />;
  return (
    <>
      <Timeline />
      <Toolbar search={search} />
      <Breadcrumb />
      {nothing ? (
        <Empty />
      ) : (
        <main class={`panes panes-${view}`}>
          {view !== 'flame' && <TopTable />}
          {view !== 'table' && <FlamePane />}
        </main>
      )}
    </>
  );
}
