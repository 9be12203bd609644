import '../../style/archive.css';
import { useEffect } from 'preact/hooks';
import { problemText } from '../../api/problem';
import type { ArchiveOverview } from '../../api/types';
import { attention, bytesText } from '../../logic/archive/texts';
import { counted, formatCount, formatTime } from '../../logic/format';
import { clock, loading, overview, problem, refresh } from '../../state/archive';
import { Nav } from '../Nav';
import { RefreshButton } from '../RefreshButton';
import { Waiting } from '../Waiting';
import { Costs } from './Costs';
import { Levels, Quarantine, Retention } from './Levels';
import { Services } from './Services';

export function ArchivePage() {
  useEffect(() => {
    document.title = 'Archive · Davy';
  }, []);
  const of = overview.value;
  return (
    <div class="page archive-page">
      <header class="bar">
        <Nav page="archive" />
        {of !== null && of.tenant !== 'anonymous' && <span>tenant <b>{of.tenant}</b></span>}
        <span class="grow" />
        {of !== null && <Freshness of={of} />}
        <RefreshButton isBusy={loading.value} title="Refresh now; the bucket is listed at most once a minute" onClick={() => void refresh()} />
      </header>
      <Notices of={of} />
      <main class={problem.value === null ? 'archive-body' : 'archive-body stale'}>
        <h1 class="visually-hidden">Archive</h1>
        {of === null ? problem.value === null && <Waiting text="Listing the bucket…" /> : <Sections of={of} />}
      </main>
    </div>
  );
}

/** When the bucket was listed, and what that took. */
function Freshness({ of }: { of: ArchiveOverview }) {
  const { requests, bytes, cached_bytes } = of.cost;
  const cached = cached_bytes > 0 ? `, and ${bytesText(cached_bytes)} from its cache` : '';
  return (
    <span class="freshness" id="listed" title={`This page made Davy send ${counted(requests, 'request')} to the bucket and read ${bytesText(bytes)} from it${cached}`}>
      <span class="quiet">listed</span> {formatTime(of.listed_at, clock.value)} <span class="quiet">by {counted(requests, 'request')}</span>
    </span>
  );
}

function Notices({ of }: { of: ArchiveOverview | null }) {
  const failed = problem.value;
  return (
    <div class="notices">
      {failed !== null && (
        <p class="notice error" role="alert" id="lost">
          <span>
            <b>The archive could not be loaded.</b> {problemText(failed)}{of !== null && ` Showing data from ${formatTime(of.listed_at, clock.value)}.`} Retrying.
          </span>
          <button type="button" onClick={() => void refresh()}>Retry</button>
        </p>
      )}
      {of !== null && attention(of).map(({ id, tone, title, text }) => (
        <p class={`notice ${tone}`} role={tone === 'error' ? 'alert' : 'status'} key={id} id={id}><span><b>{title}</b> {text}</span></p>
      ))}
    </div>
  );
}

function Sections({ of }: { of: ArchiveOverview }) {
  const pieces = of.levels.reduce((sum, level) => sum + level.pieces, 0);
  const bytes = of.levels.reduce((sum, level) => sum + level.bytes, 0);
  const { present } = of.archivers;
  return (
    <>
      <p class="summary" role="status">
        {bytesText(bytes)} in {counted(pieces, 'segment or block', 'segments and blocks')}{of.services.length > 0 && ` · ${counted(of.services.length + of.services_cut, 'service')}`} · {present === 0 ? 'no archiver compacts' : present === 1 ? '1 archiver compacts' : `${formatCount(present)} archivers compact`}
      </p>
      <div class="sections">
        <Levels of={of} />
        <Retention of={of} />
        <Services of={of} />
        <Costs of={of} />
        {of.quarantine.objects > 0 && <Quarantine of={of} />}
      </div>
    </>
  );
}
