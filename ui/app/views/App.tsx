import { useEffect, useRef } from 'preact/hooks';
import { typeLabel } from '../logic/profiletypes';
import { flame, matchingServices, services, types } from '../state/queries';
import { local, othersMayLoad, pick, service, span, state } from '../state/explore';
import { menuAt } from '../state/framemenu';
import { helpOpen } from '../state/help';
import { zoomOut } from '../state/zoom';
import { Breadcrumb } from './Breadcrumb';
import { Filters } from './Filters';
import { FlamePane } from './FlamePane';
import { Header } from './Header';
import { usePageKeys } from './keys';
import { Lazy } from './Lazy';
import { Notices } from './Notices';
import { StatusBar } from './StatusBar';
import { Toolbar } from './Toolbar';
import { TopTable } from './TopTable';
import { TransformBar } from './TransformBar';

// The flame graph is drawn first.
const loadTimeline = () => import('./Timeline').then(({ Timeline }) => Timeline);
const loadDrop = () => import('./LocalFile').then(({ DropTarget }) => DropTarget);
const loadMenu = () => import('./FrameMenu').then(({ FrameMenu }) => FrameMenu);
const loadSandwich = () => import('./SandwichPane').then(({ SandwichPane }) => SandwichPane);

const loadSubSecond = () => import('./SubSecond').then(({ SubSecond }) => SubSecond);

const loadEmpty = () => import('./EmptyState').then(({ EmptyState }) => EmptyState);
const loadHelp = () => import('./HelpSheet').then(({ HelpSheet }) => HelpSheet);
const loadTree = () => import('./TreePane').then(({ TreePane }) => TreePane);

export function App() {
  const search = useRef<HTMLInputElement>(null);
  usePageKeys(search, (e) => {
    if (e.key === '?') {
      e.preventDefault();
      helpOpen.value = true;
    } else if (e.key === 'Escape' && !helpOpen.peek() && !zoomOut() && state.value.pick) {
      pick(null);
    }
  });

  useEffect(() => {
    const { capture } = state.peek();
    if (capture !== '') void import('../state/opencapture').then(({ openCapture }) => openCapture(capture));
  }, []);

  const { view, type } = state.value;
  const name = local.value?.name ?? service.value;
  useEffect(() => {
    document.title = name === null ? 'Davy' : `${name}${local.value === null ? ` · ${typeLabel(type)}` : ''} · Davy`;
  }, [name, type]);
  return (
    <div class="page">
      <Header />
      <main class="explore">
        <h1 class="visually-hidden">{local.value !== null ? `Profile of the file ${local.value.name}` : name === null ? 'Explore profiles' : `${typeLabel(type)} of ${name}`}</h1>
        {local.value === null && <Filters />}
        {othersMayLoad.value && <Lazy key="drop" load={loadDrop} isQuiet />}
        {local.value === null && <Notices />}
        <Body view={view} search={search} />
      </main>
      <StatusBar />
      {menuAt.value !== null && <Lazy load={loadMenu} isQuiet />}
      {helpOpen.value && <Lazy load={loadHelp} />}
    </div>
  );
}

function Body(props: { view: string; search: preact.RefObject<HTMLInputElement | null> }) {
  if (local.value === null) return <ServerBody {...props} />;
  return <>{local.value.offsets !== null && <Lazy load={loadSubSecond} isQuiet />}<Panes {...props} /></>;
}

function ServerBody({ view, search }: { view: string; search: preact.RefObject<HTMLInputElement | null> }) {
  const known = services.state.value;
  const graph = flame.state.value;
  const nothing = graph.data !== null && graph.data.tree.sum[0] === 0;
  if (span.value === null) return <div class="empty"><p>Invalid range: the start must be before the end. Correct it in the range menu above.</p></div>;
  const noService = known.data?.length === 0 && state.value.matchers.length === 0;
  const noType = types.state.value.data?.length === 0 && state.value.type === '';
  const severalServices = (matchingServices.value?.length ?? 0) > 1;
  if (noService || noType || severalServices || state.value.invalidSelector !== '') return <Lazy key="empty" load={loadEmpty} />;
  return (
    <>
      <div class="timeline-place">{othersMayLoad.value && <Lazy key="timeline" load={loadTimeline} isQuiet />}</div>
      <Panes view={view} search={search} nothing={nothing} />
    </>
  );
}

interface PanesProps {
  view: string;
  search: preact.RefObject<HTMLInputElement | null>;
  nothing?: boolean;
}

function Panes({ view, search, nothing = false }: PanesProps) {
  return (
    <>
      <Toolbar search={search} />
      <Breadcrumb />
      <TransformBar />
      {nothing ? (
        <Lazy key="empty" load={loadEmpty} />
      ) : (
        <div class={`panes panes-${view}`}>
          {view !== 'flame' && view !== 'tree' && <TopTable />}
          {view === 'sandwich' && <Lazy key="sandwich" load={loadSandwich} />}
          {view === 'tree' && <Lazy key="tree" load={loadTree} />}
          {(view === 'both' || view === 'flame') && <FlamePane />}
        </div>
      )}
    </>
  );
}
