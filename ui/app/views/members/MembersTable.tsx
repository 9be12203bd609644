import { useEffect, useRef } from 'preact/hooks';
import { formatCount } from '../../logic/format';
import { FIGURES, figure } from '../../logic/members/usage';
import { type Sort, sortedBy } from '../../logic/members/address';
import { below, inside, onShow, show, showMore, shown, trend } from '../../state/membersview';
import { form } from '../../state/toggling';
import { COLUMNS, FactRows, LineRows } from './LineRows';

export function MembersTable() {
  const body = useRef<HTMLTableSectionElement>(null);
  useHold(body);
  const listed = onShow.value;
  const following = figure(trend.value).label;
  return (
    <table class={`members by-${shown.value.by}`} aria-label="Members">
      <thead>
        <tr>
          <Head sort="name" label={shown.value.by === 'operation' ? 'Operation' : 'Member'} title="" />
          <Head sort="state" label="State" title="" />
          {FIGURES.map((f) => <Head key={f.id} sort={f.id} label={f.label} title={f.title} />)}
          <Head sort="trend" label={`${following}, 2 min`} title="Sorted by how much it changed while this page was open" />
          <Head sort="restarts" label="Restarts" title="How often it was started again" />
          <Head sort="run" label="Last run" title="Of periodic members: the last success in the fleet" />
          <th class="flames">Flame graph</th>
          <th class="toggle">Toggle</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {listed.map((placed) =>
          placed.part === 'facts' ? (
            <FactRows key={`${placed.line.key} facts`} {...placed} />
          ) : (
            <LineRows key={placed.line.key} {...placed} asked={form.value?.line.key === placed.line.key} />
          ),
        )}
        {below.value > 0 && (
          <tr class="more">
            <td colSpan={COLUMNS}>{formatCount(below.value)} more lines: filter, or <button type="button" onClick={showMore}>show more</button></td>
          </tr>
        )}
        {listed.length === 0 && <tr><td colSpan={COLUMNS} class="hint pad">Nothing has all the words of the filter.</td></tr>}
      </tbody>
    </table>
  );
}

function Head({ sort, label, title }: { sort: Sort; label: string; title: string }) {
  const { sort: now, descending } = shown.value;
  const on = now === sort;
  return (
    <th class={sort} aria-sort={on ? (descending ? 'descending' : 'ascending') : 'none'} scope="col">
      <button type="button" title={title} onClick={() => show(sortedBy(shown.value, sort))}>
        {label}<span aria-hidden="true">{on ? (descending ? ' ▾' : ' ▴') : ''}</span>
      </button>
    </th>
  );
}

/** Somebody is in the table while the pointer or the keyboard's focus is. */
function useHold(body: preact.RefObject<HTMLTableSectionElement | null>): void {
  useEffect(() => {
    const table = body.current;
    if (table === null) return;
    let pointed = false;
    const tell = (): void => {
      // A button that was clicked keeps the focus, but nobody is there any more.
      inside.value = pointed || (table.contains(document.activeElement) && document.activeElement!.matches(':focus-visible'));
    };
    const enter = (): void => { pointed = true; tell(); };
    const leave = (): void => { pointed = false; tell(); };
    const later = (): void => void requestAnimationFrame(tell);
    table.addEventListener('pointerenter', enter);
    table.addEventListener('pointerleave', leave);
    table.addEventListener('focusin', tell);
    table.addEventListener('focusout', later);
    return () => {
      table.removeEventListener('pointerenter', enter);
      table.removeEventListener('pointerleave', leave);
      table.removeEventListener('focusin', tell);
      table.removeEventListener('focusout', later);
      inside.value = false;
    };
  }, []);
}
