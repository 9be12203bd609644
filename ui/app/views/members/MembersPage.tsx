import '../../style/members.css';
import '../../style/members-narrow.css';
import { useEffect } from 'preact/hooks';
import { USAGE_COLUMNS } from '../../logic/members/usage';
import { type By, type Sort, VIEWS, descendsFirst } from '../../logic/members/urlstate';
import { formatCount, formatTime } from '../../logic/format';
import { summary } from '../../logic/members/notes';
import { REFRESH_MS, clock, lost, members, seenAt, service, serviceKnown, visible } from '../../state/fleet';
import { seedHistory } from '../../state/fleethistory';
import { hidden, holding, show, total, view } from '../../state/membersview';
import { asksName, form, who } from '../../state/toggleform';
import { FilterField } from '../FilterField';
import { Nav } from '../Nav';
import { Waiting } from '../Waiting';
import { Banners } from './Banners';
import { Changes } from './Changes';
import { MembersTable } from './MembersTable';

const NAMES: Record<By, string> = { member: 'By member', process: 'By process', operation: 'By operation' };

export function MembersPage() {
  const isLost = lost.value !== null;
  useEffect(() => {
    document.title = `${isLost ? '(disconnected) ' : ''}Members · Davy`;
  }, [isLost]);
  const rows = members.value;
  const received = rows !== null;
  useEffect(() => {
    if (received) void serviceKnown.then(() => seedHistory(service.peek()));
  }, [received]);
  return (
    <div class="page members-page">
      <header class="bar">
        <Nav page="members" />
        <fieldset class="segments" aria-label="Group by">
          {VIEWS.map((by) => (
            <button type="button" key={by} id={`by-${by}`} aria-pressed={view.value.by === by} onClick={() => show({ by, open: [] })}>{NAMES[by]}</button>
          ))}
        </fieldset>
        <FilterField label="Filter by name, state, process or reason" value={view.value.filter} onChange={(filter) => show({ filter }, 'replace')} />
        <SortPicker />
        <span class="grow" />
        {who.value !== '' && (
          <button type="button" class="ghost who" title="Change the name recorded with your changes" aria-pressed={asksName.value} onClick={() => { asksName.value = !asksName.peek(); }}>
            operator: {who.value}
          </button>
        )}
        <Freshness />
      </header>
      <Banners />
      <main class={isLost ? 'members-body stale' : 'members-body'}>
        <h1 class="visually-hidden">Members</h1>
        {rows !== null && (
          <p class="summary" role="status">
            {summary(rows, total.value)}
            {hidden.value > 0 && ` · ${formatCount(hidden.value)} hidden by the filter`}
          </p>
        )}
        {rows === null ? !isLost && <Waiting /> : <MembersTable />}
        <Changes />
      </main>
    </div>
  );
}

function Freshness() {
  if (seenAt.value === 0) return null;
  const state = !visible.value ? 'paused' : holding.value ? 'order paused' : 'live';
  const title = state === 'order paused'
    ? 'Lines keep their order while you use the table; values are still updated'
    : `Refreshed every ${REFRESH_MS / 1000} seconds while this tab is visible`;
  return (
    <span class="freshness" title={title}>
      <span class="quiet">{lost.value === null ? state : 'disconnected'}</span> {formatTime(seenAt.value, clock.value)}
    </span>
  );
}

/** Replaces the column headers in a narrow window. */
function SortPicker() {
  const { sort, descending } = view.value;
  const choices: [Sort, string][] = [
    ['name', 'Name'], ['state', 'State'], ...USAGE_COLUMNS.map((f): [Sort, string] => [f.id, f.label]),
    ['trend', 'Change'], ['restarts', 'Restarts'], ['run', 'Last run'],
  ];
  const choose = (next: Sort): void => show({ sort: next, descending: descendsFirst(next) });
  return (
    <label class="field sort-picker">
      <span>sort</span>
      <select id="sort" disabled={form.value !== null} value={sort} onChange={(e) => choose(e.currentTarget.value as Sort)}>
        {choices.map(([id, label]) => <option key={id} value={id}>{label}</option>)}
      </select>
      <button type="button" aria-label={descending ? 'Largest first' : 'Smallest first'} onClick={() => show({ descending: !descending })}>{descending ? '▾' : '▴'}</button>
    </label>
  );
}
