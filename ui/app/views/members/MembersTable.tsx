import { useEffect, useRef } from 'preact/hooks';
import { counted } from '../../logic/format';
import { USAGE_COLUMNS, usageColumn } from '../../logic/members/usage';
import { type By, type Sort, sortedBy } from '../../logic/members/urlstate';
import { drawnLines, inside, notDrawn, show, showMore, trend, view } from '../../state/membersview';
import { form } from '../../state/toggleform';
import { COLUMNS, FactRows, LineRows } from './LineRows';

const NAME_LABELS: Record<By, string> = { member: 'Member', process: 'Process / member', operation: 'Operation' };

export function MembersTable() {
  const body = useRef<HTMLTableSectionElement>(null);
  useInside(body);
  const listed = drawnLines.value;
  const following = usageColumn(trend.value).label;
  return (
    <table class={`members by-${view.value.by}`} aria-label="Members">
      <thead>
        <tr>
          <Head sort="name" label={NAME_LABELS[view.value.by]} title="" />
          <Head sort="state" label="State" title="" />
          {USAGE_COLUMNS.map((f) => <Head key={f.id} sort={f.id} label={f.label} title={f.title} />)}
          <Head sort="trend" label={`${following}, 2 min`} title="Sorts by the change over the last two minutes" />
          <Head sort="restarts" label="Restarts" title="Restarts since the start of the process" />
          <Head sort="run" label="Last run" title="Last successful run of a periodic member in the fleet" />
          <th class="flames">Flame graph</th>
          <th class="toggle">Toggle</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {listed.map((placed) =>
          placed.part === 'facts' ? (
            <FactRows key={`${placed.line.key} facts`} {...placed} />
          ) : (
            <LineRows key={placed.line.key} {...placed} formOpen={form.value?.line.key === placed.line.key} />
          ),
        )}
        {notDrawn.value > 0 && (
          <tr class="more">
            <td colSpan={COLUMNS}>{counted(notDrawn.value, 'more line')}: filter, or <button type="button" onClick={showMore}>show more</button></td>
          </tr>
        )}
        {listed.length === 0 && <tr><td colSpan={COLUMNS} class="hint pad">No lines match the filter.</td></tr>}
      </tbody>
    </table>
  );
}

function Head({ sort, label, title }: { sort: Sort; label: string; title: string }) {
  const { sort: now, descending } = view.value;
  const on = now === sort;
  return (
    <th class={sort} aria-sort={on ? (descending ? 'descending' : 'ascending') : 'none'} scope="col">
      <button type="button" title={title} onClick={() => show(sortedBy(view.value, sort))}>
        {label}<span aria-hidden="true">{on ? (descending ? ' ▾' : ' ▴') : ''}</span>
      </button>
    </th>
  );
}

/** Records whether the pointer or the keyboard focus is in the table. */
function useInside(body: preact.RefObject<HTMLTableSectionElement | null>): void {
  useEffect(() => {
    const table = body.current;
    if (table === null) return;
    let pointed = false;
    const record = (): void => {
      // A clicked button keeps the focus, but not `:focus-visible`, after the pointer has left.
      inside.value = pointed || (table.contains(document.activeElement) && document.activeElement!.matches(':focus-visible'));
    };
    const enter = (): void => { pointed = true; record(); };
    const leave = (): void => { pointed = false; record(); };
    const later = (): void => void requestAnimationFrame(record);
    table.addEventListener('pointerenter', enter);
    table.addEventListener('pointerleave', leave);
    table.addEventListener('focusin', record);
    table.addEventListener('focusout', later);
    return () => {
      table.removeEventListener('pointerenter', enter);
      table.removeEventListener('pointerleave', leave);
      table.removeEventListener('focusin', record);
      table.removeEventListener('focusout', later);
      inside.value = false;
    };
  }, []);
}
