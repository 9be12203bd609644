import type { FleetOverview, WorkerRow } from '../../api/fleet';
import { ago, bytes, freeShare, notesOf, statusOf, tagsOf } from '../../logic/fleet/rows';
import { flameUrl } from '../../logic/members/flamelink';
import { formatCount } from '../../logic/format';
import { WORKERS_SHOWN, now, show, view, workers } from '../../state/workers';
import { Word } from './Word';

/** The links to the usage and the flame graph of a process or member. */
export function UsageLinks({ process, member }: { process?: string; member?: string }) {
  const usage = new URLSearchParams(process === undefined ? { filter: member ?? '' } : { by: 'process', filter: process });
  return (
    <span class="links">
      <a href={`./members?${usage.toString().replaceAll('%2F', '/')}`}>Usage</a>
      <a href={flameUrl('davy', process === undefined ? { member: member ?? '' } : { process }, 'cpu')}>Flame graph</a>
    </span>
  );
}

/** A number against its maximum, as text and as a bar. */
function Meter({ value, max }: { value: number; max: number }) {
  const share = Math.min(1, max > 0 ? value / max : 0);
  return (
    <span class={share > 0.9 ? 'meter late' : 'meter'}>
      <svg viewBox="0 0 60 8" width="60" height="8" aria-hidden="true">
        <rect width="60" height="8" rx="2" class="track" />
        <rect width={Math.round(60 * share)} height="8" rx="2" class="fill" />
      </svg>
      {formatCount(value)} / {formatCount(max)}
    </span>
  );
}

export function Workers({ of }: { of: FleetOverview }) {
  const rows = workers.value;
  const { state, after } = view.value;
  const isPaged = after !== '' || rows.length === WORKERS_SHOWN;
  return (
    <section aria-labelledby="workers-title" class="wide">
      <h2 id="workers-title">Workers</h2>
      {rows.length === 0 ? (
        <p class="hint">
          {state === '' && after === '' ? <>No worker has registered. <code>davy token worker NAME</code> makes a key for one, and <code>davy worker</code> runs it.</> : 'No worker matches the filter.'}
        </p>
      ) : (
        <table id="workers" class="cards">
          <thead>
            <tr>
              <th>Worker</th><th>State</th><th class="number" title="Time since its last accepted report">Report</th>
              <th class="number">Builds</th><th class="number">Containers</th><th class="number">Volumes</th>
              <th class="number" title="Containers and volumes that it has to destroy">To destroy</th>
              <th class="number" title="Destroys in flight; at most five containers and three volumes">In flight</th>
              <th class="number">Disk free</th><th>This worker</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => <Row key={row.name} row={row} of={of} />)}
          </tbody>
        </table>
      )}
      {isPaged && (
        <p class="pages">
          {after !== '' && <button type="button" onClick={() => show({ after: '' })}>First page</button>}
          {rows.length === WORKERS_SHOWN && <button type="button" id="next-workers" onClick={() => show({ after: rows.at(-1)?.name ?? '' })}>Next {WORKERS_SHOWN}</button>}
        </p>
      )}
    </section>
  );
}

function Row({ row, of }: { row: WorkerRow; of: FleetOverview }) {
  const status = statusOf(row);
  const free = freeShare(row);
  const notes = notesOf(row, now(), of.containers_max);
  const late = now() - row.synced_at > 1_500 * of.sync_interval_seconds;
  return (
    <>
      <tr class={notes.length > 0 ? 'noted' : ''}>
        <td data-label="Worker" class="name"><b>{row.name}</b>{tagsOf(row).map((tag) => <small key={tag} class="tag">{tag}</small>)}</td>
        <td data-label="State"><Word state={row.state} /></td>
        <td data-label="Report" class={late ? 'number late' : 'number'}>{ago(row.synced_at, now())}</td>
        <td data-label="Builds" class="number">{status.builds} / {row.capacity}</td>
        <td data-label="Containers" class="number"><Meter value={row.containers} max={of.containers_max} /></td>
        <td data-label="Volumes" class="number">{formatCount(row.volumes)}</td>
        <td data-label="To destroy" class="number">{row.doomed === 0 ? '–' : formatCount(row.doomed)}</td>
        <td data-label="In flight" class={status.hung > 0 ? 'number late' : 'number'}>
          {status.destroying === 0 && status.hung === 0 ? '–' : `${status.destroying}${status.hung > 0 ? ` + ${status.hung} hung` : ''}`}
        </td>
        <td data-label="Disk free" class={free !== null && free < 0.1 ? 'number late' : 'number'}>
          {free === null ? '–' : `${bytes(row.disk_free_bytes ?? 0)} (${Math.round(100 * free)}%)`}
        </td>
        <td data-label="This worker"><UsageLinks process={`worker/${row.name}`} /></td>
      </tr>
      {notes.length > 0 && (
        <tr class="note-row">
          <td colSpan={10}>{notes.map(({ tone, text }) => <span key={text} class={`worker-note ${tone}`}>{text}</span>)}</td>
        </tr>
      )}
    </>
  );
}
