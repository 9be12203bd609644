import '../../style/incident.css';
import { useEffect } from 'preact/hooks';
import { problemText } from '../../api/problem';
import type { Base, ChangesAnswer, MeasureName } from '../../api/types';
import { counted, formatCount, formatTime } from '../../logic/format';
import { BASE_LABELS, MEASURE_LABELS, MEASURE_TITLES, ofService, rowsOf, totalOf } from '../../logic/incident/texts';
import { BASES, LENGTHS, MEASURES, toIncidentUrl } from '../../logic/incident/urlstate';
import { answer, refresh, show, state } from '../../state/incident';
import { CopyButton } from '../CopyButton';
import { FilterField } from '../FilterField';
import { Nav } from '../Nav';
import { RefreshButton } from '../RefreshButton';
import { CaptureList } from './CaptureList';
import { ChangesTable } from './ChangesTable';

export function IncidentPage() {
  useEffect(() => {
    document.title = 'Incident · Davy';
  }, []);
  const { data, loading, slow, problem, retrying } = answer.state.value;
  const { by } = state.value;
  const link = (): string | null => data && new URL(`./${toIncidentUrl({ ...state.value, until: data.until, against: data.against })}`, location.href).href;
  return (
    <div class="page incident-page">
      <header class="bar">
        <Nav page="incident" />
        <fieldset class="segments" aria-label="Group by">
          {(['member', 'operation'] as const).map((one) => (
            <button type="button" key={one} id={`by-${one}`} aria-pressed={by === one} onClick={() => show({ by: one })}>{one === 'member' ? 'By member' : 'By operation'}</button>
          ))}
        </fieldset>
        <FilterField label="Filter by member, operation, measure or kind of change" value={state.value.filter} onChange={(filter) => show({ filter }, 'replace')} />
        <span class="grow" />
        <CopyButton link={link} />
        <RefreshButton isBusy={loading} onClick={refresh} />
      </header>
      <Controls data={data} />
      <div class="notices">
        {problem !== null && (
          <p class="notice error" role="alert" id="lost">
            <span><b>The changes could not be loaded.</b> {problemText(problem)}{retrying && ' Retrying.'}</span>
            <button type="button" onClick={refresh}>Retry</button>
          </p>
        )}
        {slow && (
          <p class="notice" role="status" id="slow">
            <span>The archive is reading four ranges; this takes longer than usual.</span>
            <button type="button" onClick={() => answer.cancel()}>Cancel</button>
          </p>
        )}
        {data !== null && <Partial of={data} />}
      </div>
      <main class={problem === null ? 'incident-body' : 'incident-body stale'} aria-busy={loading}>
        <h1 class="visually-hidden">What changed</h1>
        {data === null ? <p class="hint pad">{problem === null ? 'Comparing usage with an hour, a day and a week ago…' : ''}</p> : <Body of={data} />}
      </main>
    </div>
  );
}

/** The ranges that are compared. */
function Controls({ data }: { data: ChangesAnswer | null }) {
  const { against, minutes, until, service } = state.value;
  const services = data === null ? [] : ofService(data);
  const chosen = against ?? data?.against ?? null;
  const hasData = (base: Base): boolean => data === null || data.ranges.some(({ name, windows }) => name === base && windows > 0);
  return (
    <section class="incident-controls" aria-label="Range">
      <label class="field">
        <span>The last</span>
        <select id="minutes" value={minutes} onChange={(e) => show({ minutes: Number(e.currentTarget.value), until: null })}>
          {[...new Set([...LENGTHS, minutes])].sort((a, b) => a - b).map((m) => <option key={m} value={m}>{m === 60 ? '1 hour' : counted(m, 'minute')}</option>)}
        </select>
      </label>
      {until !== null && (
        <span class="pinned" id="pinned">
          until {formatTime(until, Date.now(), false)} <button type="button" onClick={() => show({ until: null })}>Now</button>
        </span>
      )}
      <fieldset class="segments" aria-label="Compared with">
        <span class="segments-label">against</span>
        {BASES.map((base) => (
          <button type="button" key={base} id={`against-${base}`} aria-pressed={chosen === base} disabled={!hasData(base)} title={hasData(base) ? undefined : `There are no profiles of ${BASE_LABELS[base]}`} onClick={() => show({ against: base })}>
            {BASE_LABELS[base]}
          </button>
        ))}
      </fieldset>
      {(services.length > 1 || service !== '') && (
        <label class="field">
          <span>of</span>
          <select id="service" value={service} onChange={(e) => show({ service: e.currentTarget.value })}>
            <option value="">all services</option>
            {[...new Set([...services, service])].filter(Boolean).map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
      )}
    </section>
  );
}

function Partial({ of }: { of: ChangesAnswer }) {
  const missing = [...new Set(of.ranges.flatMap(({ partial }) => partial))];
  const widened = of.ranges.filter((r) => r.windows > 0 && (r.effective_from < r.from || r.effective_until > r.until));
  return (
    <>
      {missing.length > 0 && <p class="notice warn" role="status" id="partial"><span><b>Some data could not be read.</b> {missing.slice(0, 3).join('; ')}{missing.length > 3 && `; and ${missing.length - 3} more`}</span></p>}
      {widened.length > 0 && (
        <p class="notice" role="status" id="widened">
          <span>Windows of {widened.map(({ name }) => (name === 'now' ? 'the range' : BASE_LABELS[name])).join(' and ')} have expired: the whole hour is counted there.</span>
        </p>
      )}
    </>
  );
}

function Body({ of }: { of: ChangesAnswer }) {
  const { measure, filter, all } = state.value;
  const { rows, same } = rowsOf(of, { measure, filter, all });
  const now = of.ranges[0];
  if (now.windows === 0 && of.changes.length === 0) {
    return <p class="hint pad" id="nothing">No profiles arrived in this range. A process pushes its first window after some seconds; <a href="./members">Members</a> shows which processes run.</p>;
  }
  return (
    <>
      <Totals of={of} />
      <p class="summary" role="status" id="verdict">{verdict(of, rows.length)}</p>
      {rows.length > 0 && <ChangesTable of={of} rows={rows} />}
      {same > 0 && !all && <p class="more"><button type="button" id="show-same" onClick={() => show({ all: true })}>Show {counted(same, 'more value')} without a change</button></p>}
      {all && <p class="more"><button type="button" id="hide-same" onClick={() => show({ all: false })}>Show changes only</button></p>}
      <CaptureList />
      {of.cut > 0 && <p class="hint pad">{counted(of.cut, 'smaller change')} left out: choose a service, or group by member.</p>}
    </>
  );
}

function verdict(of: ChangesAnswer, rows: number): string {
  if (of.against === null) return 'There is no earlier data to compare with; usage is shown as it is now.';
  const range = of.ranges.find(({ name }) => name === of.against)!;
  const than = `${BASE_LABELS[of.against]} (${formatTime(range.from, Date.now(), false)} – ${formatTime(range.until, range.from, false)})`;
  if (range.windows === 0) return `There are no profiles of ${than}, so nothing is compared.`;
  const changed = of.changes.filter(({ kind }) => kind !== 'same' && kind !== 'unknown').length;
  if (changed === 0) return `Nothing changed by more than a tenth compared with ${than}.`;
  return `${counted(changed, 'value')} changed compared with ${than}${rows < changed ? `; ${formatCount(rows)} shown` : ''}. The largest change is first.`;
}

/** The sums of each measure; a click shows only its changes. */
function Totals({ of }: { of: ChangesAnswer }) {
  const { measure } = state.value;
  return (
    <div class="totals" role="group" aria-label="Show one measure">
      {MEASURES.map((name) => {
        const known = of.measures.find((m) => m.name === name);
        const total = known === undefined ? null : totalOf(known, of.against);
        const only: MeasureName | null = measure === name ? null : name;
        return (
          <button type="button" key={name} id={`measure-${name}`} class="total" aria-pressed={measure === name} title={MEASURE_TITLES[name]} onClick={() => show({ measure: only })}>
            <span class="label">{MEASURE_LABELS[name]}</span>
            <b>{total?.now ?? 'by operation'}</b>
            <span class={total?.up === true ? 'up' : total?.up === false ? 'down' : 'quiet'}>{total?.change ?? ''}</span>
          </button>
        );
      })}
    </div>
  );
}
