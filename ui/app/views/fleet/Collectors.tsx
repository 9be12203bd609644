import type { CollectorRow, FleetOverview } from '../../api/fleet';
import { isLate } from '../../logic/fleet/attention';
import { ago } from '../../logic/fleet/rows';
import { formatCount, formatSeconds } from '../../logic/format';
import { now } from '../../state/workers';
import { UsageLinks } from './Workers';
import { Word } from './Word';

/** The backend counts no further. */
const COUNTED_MAX = 100_000;
const rows = (n: number): string => (n === 0 ? '–' : n >= COUNTED_MAX ? `≥ ${formatCount(n)}` : formatCount(n));

export function Collectors({ of }: { of: FleetOverview }) {
  return (
    <section aria-labelledby="collectors-title" class="wide">
      <h2 id="collectors-title">Garbage collection</h2>
      <table id="collectors" class="cards">
        <thead>
          <tr>
            <th>Collector</th><th class="number" title="Rows that the next run changes">Due</th>
            <th class="number" title="Marked, and not destroyed by its worker yet">Marked</th>
            <th class="number">Oldest marked</th><th class="number">Last run</th><th class="number">Took</th><th>Outcome</th><th>This member</th>
          </tr>
        </thead>
        <tbody>{of.collectors.map((row) => <Row key={row.member} row={row} />)}</tbody>
      </table>
      <p class="hint">A collector only marks, once in the fleet; the worker destroys, and its next report removes the row.</p>
    </section>
  );
}

function Row({ row }: { row: CollectorRow }) {
  const run = row.last_run;
  return (
    <tr class={isLate(row) ? 'noted' : ''}>
      <td data-label="Collector" class="name"><b>{row.member}</b></td>
      <td data-label="Due" class="number">{rows(row.due)}</td>
      <td data-label="Marked" class="number">{rows(row.doomed)}</td>
      <td data-label="Oldest marked" class="number">{row.doomed_since === null ? '–' : ago(row.doomed_since, now())}</td>
      <td data-label="Last run" class={run === null || run.stale ? 'number late' : 'number'}>
        {run?.at == null ? 'never' : ago(run.at, now())}{run !== null && <span class="quiet"> / {formatSeconds(run.interval_seconds)}</span>}
      </td>
      <td data-label="Took" class="number">{run?.duration_seconds == null ? '–' : formatSeconds(run.duration_seconds)}</td>
      <td data-label="Outcome" title={run?.error ?? undefined}>{run?.outcome == null ? '–' : <Word state={run.outcome} />}</td>
      <td data-label="This member"><UsageLinks member={row.member} /></td>
    </tr>
  );
}
