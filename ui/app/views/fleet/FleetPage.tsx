import '../../style/archive.css';
import '../../style/fleet.css';
import { useEffect } from 'preact/hooks';
import { problemText } from '../../api/problem';
import { attention, summary } from '../../logic/fleet/attention';
import { WORKER_STATES } from '../../logic/fleet/urlstate';
import { formatTime } from '../../logic/format';
import { REFRESH_MS, clock, overview, problem, refresh, seenAt, show, view, workers } from '../../state/workers';
import { Nav } from '../Nav';
import { Waiting } from '../Waiting';
import { Builds } from './Builds';
import { Collectors } from './Collectors';
import { Workers } from './Workers';

export function FleetPage() {
  const failed = problem.value;
  const of = overview.value;
  useEffect(() => {
    document.title = `${failed === null ? '' : '(disconnected) '}Fleet · Davy`;
  }, [failed === null]);
  return (
    <div class="page fleet-page">
      <header class="bar">
        <Nav page="fleet" />
        <label class="field">
          <span>workers</span>
          <select id="state" value={view.value.state} onChange={(e) => show({ state: e.currentTarget.value, after: '' })}>
            <option value="">in any state</option>
            {WORKER_STATES.map((state) => <option key={state} value={state}>{state}</option>)}
          </select>
        </label>
        <span class="grow" />
        {seenAt.value > 0 && (
          <span class="freshness" title={`Refreshed every ${REFRESH_MS / 1000} seconds while this tab is visible`}>
            <span class="quiet">{failed === null ? 'live' : 'disconnected'}</span> {formatTime(seenAt.value, clock.value)}
          </span>
        )}
      </header>
      <div class="notices">
        {failed !== null && (
          <p class="notice error" role="alert" id="lost">
            <span><b>The fleet could not be loaded.</b> {problemText(failed)}{seenAt.value > 0 && ` Showing data from ${formatTime(seenAt.value, clock.value)}.`} Retrying.</span>
            <button type="button" onClick={() => void refresh()}>Retry</button>
          </p>
        )}
        {of !== null && attention(of, workers.value).map(({ id, tone, title, text }) => (
          <p class={`notice ${tone}`} role={tone === 'error' ? 'alert' : 'status'} key={id} id={id}><span><b>{title}</b> {text}</span></p>
        ))}
      </div>
      <main class={failed === null ? 'archive-body' : 'archive-body stale'}>
        <h1 class="visually-hidden">Fleet</h1>
        {of === null ? failed === null && <Waiting /> : (
          <>
            <p class="summary" role="status" id="fleet-summary">{summary(of)}</p>
            <div class="sections fleet">
              <Workers of={of} />
              <Builds />
              <Collectors of={of} />
            </div>
          </>
        )}
      </main>
    </div>
  );
}
