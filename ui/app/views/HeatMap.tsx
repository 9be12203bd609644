import '../style/heat.css';
import { computed, signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { aggregationOf } from '../logic/decode';
import { formatDuration, formatTime } from '../logic/format';
import { type Cells, movedCells, pathOfLine, shades } from '../logic/heat';
import { formatRate } from '../logic/rates';
import { type PlotLine, shape } from '../logic/timeline';
import { millis } from '../logic/units';
import { shortPath } from '../logic/zoompath';
import { now, state, update } from '../state/explore';
import { series, shaped } from '../state/timeline';

/** Rows, of which the last sums up the smaller series. */
const ROWS = 30;

const data = computed(() => {
  const { data: answer, key } = series.state.value;
  const base = shaped.value;
  if (answer === null || key === null || base === null) return null;
  const { width } = JSON.parse(key) as { width: number };
  return { ...base, ...shape(answer, base.grouped, true, aggregationOf(answer.aggregation), width, ROWS) };
});

/** Whether the darkest cell is that of each row. */
const ofRow = signal(false);

/** Time by series: a cell or a range of cells opens its flame graph. */
export function HeatMap() {
  const map = data.value;
  const levels = useMemo(() => (map === null ? [] : shades(map.lines, ofRow.value)), [map, ofRow.value]);
  const [cells, setCells] = useState<Cells | null>(null);
  const [over, setOver] = useState<[number, number] | null>(null);
  const drag = useRef<Cells | null>(null);
  // Cells of another answer have other places.
  useEffect(() => setCells(null), [map?.times.length, map?.lines.length]);
  if (map === null) return <p class="hint pad">Loading…</p>;
  const { lines, times, step, grouped, scale } = map;
  if (lines.length === 0) return <p class="hint pad">no data in this range</p>;

  const text = (row: number, column: number): string => {
    const value = lines[row].values[column];
    return `${lines[row].name}, ${formatTime(times[column], now.value)}: ${value === null ? 'no data' : formatRate(value, scale)}`;
  };
  const said = (of: Cells): string => {
    const [a, b] = [Math.min(of.began, of.ends), Math.max(of.began, of.ends)];
    return a === b ? text(of.row, a) : `${lines[of.row].name}, ${formatTime(times[a], now.value)} to ${formatTime(times[b] + step, now.value)}, ${formatDuration((b - a + 1) * step)}`;
  };
  const show = (of: Cells): void => {
    const [a, b] = [Math.min(of.began, of.ends), Math.max(of.began, of.ends)];
    update({ pick: { from: millis(times[a]), until: millis(times[b] + step) }, zoom: shortPath(pathOfLine(lines[of.row], grouped)) });
  };
  const placeOf = (e: Event): [number, number] | null => {
    const cell = (e.target as Element).closest<HTMLTableCellElement>('td');
    return cell === null ? null : [Number(cell.parentElement!.dataset['row']), cell.cellIndex - 1];
  };
  const key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const current = cells ?? { row: 0, began: times.length - 1, ends: times.length - 1 };
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-times.length, 0], End: [times.length, 0] }[e.key] ?? [0, 0];
    if (dx !== 0 || dy !== 0) setCells(cells === null ? current : movedCells(current, lines.length, times.length, dx, dy, e.shiftKey));
    else if ((e.key === 'Enter' || e.key === ' ') && cells !== null) show(cells);
    else if (e.key === 'Escape' && cells !== null) setCells(null);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const active = cells === null ? undefined : `heat-${cells.row}-${cells.ends}`;
  return (
    <div class="heat-map">
      <div class="heat-scroll">
        <table
          role="grid"
          class="heat"
          id="heat"
          tabIndex={0}
          aria-label={`Heat map of ${grouped.join(', ') || 'the total'} over time. Arrow keys select a cell, with Shift a range, Enter opens its flame graph.`}
          aria-activedescendant={active}
          aria-rowcount={lines.length}
          aria-colcount={times.length + 1}
          onKeyDown={key}
          onPointerDown={(e) => {
            const at = placeOf(e);
            if (at === null || e.button !== 0) return;
            drag.current = { row: at[0], began: at[1], ends: at[1] };
            setCells(drag.current);
          }}
          onPointerMove={(e) => {
            const at = placeOf(e);
            setOver(at);
            if (at === null || drag.current === null || drag.current.ends === at[1]) return;
            drag.current = { ...drag.current, ends: at[1] };
            setCells(drag.current);
          }}
          onPointerUp={() => {
            if (drag.current !== null) show(drag.current);
            drag.current = null;
          }}
          onPointerLeave={() => { drag.current = null; setOver(null); }}
        >
          <tbody>
            {lines.map((line, row) => <Row key={line.name} line={line} row={row} level={levels[row]} cells={cells?.row === row ? cells : null} text={text} />)}
          </tbody>
        </table>
      </div>
      <p class="heat-foot">
        <span id="heat-said" aria-live="polite">{cells !== null ? said(cells) : ''}</span>
        <span class="quiet" aria-hidden="true">{over !== null && cells === null ? text(over[0], over[1]) : ''}</span>
        <span class="grow" />
        <label><input type="checkbox" id="heat-rows" checked={ofRow.value} onChange={(e) => { ofRow.value = e.currentTarget.checked; }} /> each row by itself</label>
      </p>
    </div>
  );
}

interface RowProps {
  line: PlotLine;
  row: number;
  level: Int8Array;
  cells: Cells | null;
  text: (row: number, column: number) => string;
}

function Row({ line, row, level, cells, text }: RowProps) {
  const [from, until] = cells === null ? [-1, -1] : [Math.min(cells.began, cells.ends), Math.max(cells.began, cells.ends)];
  const { pick } = state.value;
  // A pointer that moves over another row changes nothing here.
  return useMemo(() => (
    <tr data-row={row} aria-rowindex={row + 1}>
      <th scope="row"><bdi>{line.name}</bdi></th>
      {[...level].map((shade, column) => (
        <td
          key={column}
          role="gridcell"
          id={`heat-${row}-${column}`}
          class={`heat-${shade < 0 ? 'gap' : shade}${column >= from && column <= until ? ' chosen' : ''}`}
          aria-label={text(row, column)}
          aria-selected={column >= from && column <= until}
        />
      ))}
    </tr>
  ), [line, level, from, until, pick]);
}
