import '../../style/members.css';
import '../../style/members-narrow.css';
import { useEffect, useRef } from 'preact/hooks';
import { FIGURES } from '../../logic/members/usage';
import { type By, type Sort, VIEWS, descendsFirst } from '../../logic/members/address';
import { formatTime } from '../../logic/format';
import { summary } from '../../logic/members/notes';
import { clock, lost, members, seenAt, visible } from '../../state/fleet';
import { hidden, holding, show, shown, total } from '../../state/membersview';
import { asksName, form, who } from '../../state/toggling';
import { Nav } from '../Nav';
import { Banners } from './Banners';
import { Changes } from './Changes';
import { MembersTable } from './MembersTable';

const NAMES: Record<By, string> = { member: 'By member', process: 'By process', operation: 'By operation' };

export function MembersPage() {
  const filter = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const key = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.key !== '/') return;
      if (e.target instanceof HTMLElement && e.target.closest('input, textarea, select')) return;
      e.preventDefault();
      filter.current?.focus();
      filter.current?.select();
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  const isLost = lost.value !== null;
  useEffect(() => {
    document.title = `${isLost ? '(no answer) ' : ''}Members · Davy`;
  }, [isLost]);
  const rows = members.value;
  return (
    <div class="page members-page">
      <header class="bar">
        <Nav page="members" />
        <fieldset class="segments" aria-label="Lines">
          {VIEWS.map((by) => (
            <button type="button" key={by} id={`by-${by}`} aria-pressed={shown.value.by === by} onClick={() => show({ by, open: [] })}>{NAMES[by]}</button>
          ))}
        </fieldset>
        <input
          ref={filter}
          id="filter"
          type="search"
          placeholder="Filter (/)"
          aria-label="Filter by name, state, process or reason"
          spellcheck={false}
          autocomplete="off"
          value={shown.value.filter}
          onInput={(e) => show({ filter: e.currentTarget.value }, 'tweak')}
          onKeyDown={(e) => e.key === 'Escape' && show({ filter: '' }, 'tweak')}
        />
        <SortPicker />
        <span class="grow" />
        {who.value !== '' && (
          <button type="button" class="ghost who" title="Another name for your changes" aria-pressed={asksName.value} onClick={() => { asksName.value = !asksName.peek(); }}>
            as {who.value}
          </button>
        )}
        <Freshness />
      </header>
      <Banners />
      <main class={isLost ? 'members-body stale' : 'members-body'}>
        {rows !== null && (
          <p class="summary" role="status">
            {summary(rows, total.value)}
            {hidden.value > 0 && ` · ${hidden.value} hidden by the filter`}
          </p>
        )}
        {rows === null ? <p class="hint pad">{isLost ? '' : 'Asking every process…'}</p> : <MembersTable />}
        <Changes />
      </main>
    </div>
  );
}

function Freshness() {
  if (seenAt.value === 0) return null;
  const state = !visible.value ? 'paused' : holding.value ? 'order held' : 'live';
  const title = state === 'order held'
    ? 'Lines stay where they are while you point at the table; their figures go on'
    : 'Asked again every 2 seconds while this tab is looked at';
  return (
    <span class="freshness" title={title}>
      <span class="quiet">{lost.value === null ? state : 'no answer'}</span> {formatTime(seenAt.value, clock.value)}
    </span>
  );
}

/** Where there is no room for the columns' heads. */
function SortPicker() {
  const { sort, descending } = shown.value;
  const choices: [Sort, string][] = [
    ['name', 'Name'], ['state', 'State'], ...FIGURES.map((f): [Sort, string] => [f.id, f.label]),
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
