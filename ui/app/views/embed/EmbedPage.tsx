import { useEffect } from 'preact/hooks';
import { formatRange } from '../../logic/format';
import { typeLabel } from '../../logic/profiletypes';
import { now, picked, service, state } from '../../state/explore';
import { menuAt } from '../../state/framemenu';
import { flame, shown } from '../../state/queries';
import { zoomOut } from '../../state/zoom';
import { Breadcrumb } from '../Breadcrumb';
import { pinnedLink } from '../CopyLink';
import { FlamePane } from '../FlamePane';
import { Lazy } from '../Lazy';
import { Notices } from '../Notices';

const loadMenu = () => import('../FrameMenu').then(({ FrameMenu }) => FrameMenu);

/** A flame graph for a frame in another page: without navigation, pickers and table. */
export function EmbedPage() {
  const title = `${typeLabel(state.value.type)} of ${service.value ?? 'a service'}`;
  useEffect(() => { document.title = `${title} · Davy`; }, [title]);
  useEffect(() => {
    const key = (e: KeyboardEvent): void => { if (e.key === 'Escape') zoomOut(); };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  const link = pinnedLink();
  const isEmpty = shown.value !== null && flame.state.value.data !== null && shown.value.tree.sum[0] === 0;
  return (
    <div class="page embed-page">
      <header class="bar">
        <h1>{title}</h1>
        {picked.value !== null && <span class="quiet">{formatRange(picked.value, now.value)}</span>}
        <span class="grow" />
        {link !== null && <a id="open-davy" href={`./${link}`} target="_blank" rel="noopener">Open in Davy</a>}
      </header>
      <main class="explore">
        <Notices />
        <Breadcrumb />
        {isEmpty ? <p class="hint pad">There are no samples in this range.</p> : <div class="panes panes-flame"><FlamePane /></div>}
      </main>
      {menuAt.value !== null && <Lazy load={loadMenu} isQuiet />}
    </div>
  );
}
