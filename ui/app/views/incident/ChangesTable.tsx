import { useState } from 'preact/hooks';
import type { ChangesAnswer } from '../../api/types';
import {
  BASE_LABELS, KIND_SIGNS, MEASURE_LABELS, MEASURE_TITLES, type Row, diffLink, formatDelta, formatFactor, formatMeasure, graphLink, isOwn, switchLink,
} from '../../logic/incident/texts';
import { BASES } from '../../logic/incident/urlstate';
import { form, refused } from '../../state/captures';
import { ownMembers } from '../../state/incident';
import { Lazy } from '../Lazy';

const loadForm = () => import('./CaptureForm').then(({ CaptureForm }) => CaptureForm);

/** Drawing thousands of rows every half minute would keep the browser busy. */
const ROWS_INITIAL = 100;

export function ChangesTable({ of, rows }: { of: ChangesAnswer; rows: Row[] }) {
  const [max, setMax] = useState(ROWS_INITIAL);
  const others = BASES.filter((base) => of.ranges.some(({ name, windows }) => name === base && windows > 0));
  return (
    <>
      <table class={of.against === null ? 'changes no-base' : 'changes'}>
        <thead>
          <tr>
            <th scope="col" class="kind">Change</th>
            <th scope="col" class="name">Name</th>
            <th scope="col">Measure</th>
            <th scope="col" class="number">Now</th>
            {others.map((base) => <th scope="col" key={base} class={base === of.against ? 'number against' : 'number other'}>{BASE_LABELS[base]}</th>)}
            <th scope="col" class="number delta">Difference</th>
            <th scope="col" class="links">Why</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, max).map((row) => <ChangeRow key={row.key} of={of} row={row} others={others} />)}
        </tbody>
      </table>
      {rows.length > max && <p class="more"><button type="button" onClick={() => setMax(max * 4)}>Show more ({rows.length - max})</button></p>}
    </>
  );
}

function ChangeRow({ of, row: { key, change, name, of: belongs }, others }: { of: ChangesAnswer; row: Row; others: (typeof BASES)[number][] }) {
  const { kind, measure, labels, now, before, score } = change;
  const then = of.against === null ? undefined : before[of.against];
  const diff = of.against === null ? null : diffLink(of, change, of.against);
  const factor = then === undefined ? '' : formatFactor(now, then);
  const title = measure === 'p99' ? 'Changes are ranked by the share of requests that they concern' : `${(score * 100).toFixed(score < 0.1 ? 1 : 0)}% of all ${MEASURE_LABELS[measure]}`;
  return (
    <>
    <tr class={`change ${kind}`}>
      <td class="kind"><span class={`badge ${kind}`} title={title}><span aria-hidden="true">{KIND_SIGNS[kind]}</span> {kind}</span></td>
      <th scope="row" class="name"><a href={graphLink(of, labels, measure)} title="Flame graph of this range"><bdi>{name}</bdi></a>{belongs !== '' && <span class="of"> <bdi>{belongs}</bdi></span>}</th>
      <td class="measure" title={MEASURE_TITLES[measure]}>{MEASURE_LABELS[measure]}</td>
      <td class="number now"><b>{formatMeasure(measure, now)}</b></td>
      {others.map((base) => <td key={base} class={base === of.against ? 'number against' : 'number other'}>{before[base] === undefined ? '–' : formatMeasure(measure, before[base])}</td>)}
      <td class={`number delta ${then === undefined || now === then ? '' : now > then ? 'up' : 'down'}`}>
        {then === undefined ? '–' : <>{formatDelta(measure, now - then)}{factor !== '' && <span class="factor"> {factor}</span>}</>}
      </td>
      <td class="links">
        {diff !== null && <a class="diff" href={diff} title={`Flame graph of the difference to ${BASE_LABELS[of.against!]}`}>Diff</a>}
        {diff === null && (measure === 'cpu' || measure === 'allocations') && <a class="graph" href={graphLink(of, labels, measure)} title={`Flame graph of ${MEASURE_LABELS[measure]} in this range`}>Flame graph</a>}
        <a class="heap" href={graphLink(of, labels, 'heap')} title="Flame graph of the live heap">Heap</a>
        {isOwn(of, labels, ownMembers.value) && (
          <>
            <a class="switch" href={switchLink(labels)} title="Disable, limit or restart on the page Members">Switch</a>
            <button
              type="button"
              class="capture-now link"
              aria-expanded={form.value?.key === key}
              title={`Keep the heap of each process that hosts ${labels['member']} in the bucket`}
              onClick={() => {
                refused.value = '';
                form.value = form.peek()?.key === key ? null : { key, member: labels['member'], op: labels['op'] ?? '' };
              }}
            >
              Capture
            </button>
          </>
        )}
      </td>
    </tr>
    {form.value?.key === key && <tr class="capture-row"><td colSpan={6 + others.length}><Lazy load={loadForm} /></td></tr>}
    </>
  );
}
