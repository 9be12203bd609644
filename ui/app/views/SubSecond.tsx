import '../style/heat.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatValue } from '../logic/format';
import { SHADES } from '../logic/heat';
import { type Offsets, movedCell, spanOf } from '../logic/subsecond';
import { theme } from '../render/skin';
import { local } from '../state/explore';
import { choosePart } from '../state/localfile';

const ROW_HEIGHT = 3;
const COLUMN_MIN = 5;
const COLUMN_MAX = 18;
const LEFT = 46;
const BOTTOM = 18;

/** The samples of a file by second and offset within the second: a range of cells opens its flame graph. */
export function SubSecond() {
  const file = local.value!;
  const map = file.offsets!;
  const canvas = useRef<HTMLCanvasElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(800);
  /** Where the selection began, and where it ends. */
  const [cells, setCells] = useState<[number, number] | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const drag = useRef<[number, number] | null>(null);
  useEffect(() => {
    const observer = new ResizeObserver(() => setWide(host.current!.clientWidth));
    observer.observe(host.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => { if (file.part === null) setCells(null); }, [file.part, map]);
  const column = Math.max(COLUMN_MIN, Math.min(COLUMN_MAX, Math.floor((wide - LEFT - 10) / map.columns)));
  const [width, height] = [LEFT + column * map.columns + 10, map.rows * ROW_HEIGHT + BOTTOM];
  useEffect(() => paint(canvas.current!, map, cells, column, width, height), [map, cells, column, width, height, theme.value]);

  const unit = file.kinds[file.kind].unit;
  const offset = (cell: number): string => `${Math.floor(cell / map.rows)} s ${((cell % map.rows) * 1000) / map.rows} ms`;
  const sum = (a: number, b: number): number => map.cells.subarray(Math.min(a, b), Math.max(a, b) + 1).reduce((x, y) => x + y, 0);
  const text = ([a, b]: [number, number]): string => {
    const { from, until } = spanOf(map, a, b);
    const length = until - from;
    return `${offset(Math.min(a, b))}, for ${length < 1 ? `${Math.round(length * 1000)} ms` : `${length.toFixed(2)} s`}: ${formatValue(sum(a, b), unit)}`;
  };
  const show = ([a, b]: [number, number]): void => void choosePart(spanOf(map, a, b));
  const cellOf = (e: PointerEvent): number => {
    const box = canvas.current!.getBoundingClientRect();
    const x = Math.min(map.columns - 1, Math.max(0, Math.floor((e.clientX - box.left - LEFT) / column)));
    const y = Math.min(map.rows - 1, Math.max(0, map.rows - 1 - Math.floor((e.clientY - box.top) / ROW_HEIGHT)));
    return x * map.rows + y;
  };
  const key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], Home: [-map.columns, 0], End: [map.columns, 0], PageUp: [0, 10], PageDown: [0, -10] }[e.key] ?? [0, 0];
    if (dx !== 0 || dy !== 0) {
      const to = cells === null ? map.cells.findIndex((value) => value > 0) : movedCell(map, cells[1], dx, dy);
      setCells(e.shiftKey && cells !== null ? [cells[0], to] : [to, to]);
      host.current!.scrollLeft = LEFT + Math.floor(to / map.rows) * column - wide / 2;
    } else if ((e.key === 'Enter' || e.key === ' ') && cells !== null) show(cells);
    else if (e.key === 'Escape' && (cells !== null || file.part !== null)) void choosePart(null).then(() => setCells(null));
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <section class="sub-second" aria-label="Seconds and offsets">
      <div class="timeline-head">
        <b>Offset within the second</b>
        <span class="quiet">columns are seconds, rows {1000 / map.rows} ms</span>
        <span class="grow" />
        {file.part === null ? <span class="quiet">drag to select a range</span> : <button type="button" id="whole-file" class="ghost" onClick={() => void choosePart(null)}>Whole file</button>}
      </div>
      <div class="sub-scroll" ref={host}>
        <canvas
          ref={canvas}
          id="sub-second"
          tabIndex={0}
          role="application"
          aria-label={`Heat map of ${map.columns} seconds by the offset within the second. Arrow keys select a cell, with Shift a range, Enter opens its flame graph, Escape the whole file.`}
          style={{ width: `${width}px`, height: `${height}px` }}
          onKeyDown={key}
          onPointerDown={(e) => {
            if (e.button !== 0) return;
            canvas.current!.setPointerCapture(e.pointerId);
            drag.current = [cellOf(e), cellOf(e)];
            setCells(drag.current);
          }}
          onPointerMove={(e) => {
            const at = cellOf(e);
            setOver(at);
            if (drag.current === null || drag.current[1] === at) return;
            drag.current = [drag.current[0], at];
            setCells(drag.current);
          }}
          onPointerUp={() => {
            if (drag.current !== null) show(drag.current);
            drag.current = null;
          }}
          onPointerCancel={() => { drag.current = null; }}
          onPointerLeave={() => setOver(null)}
        />
      </div>
      <p class="heat-foot">
        <span id="sub-said" aria-live="polite">{cells !== null ? text(cells) : ''}</span>
        <span class="quiet" aria-hidden="true">{over !== null && cells === null ? text([over, over]) : ''}</span>
      </p>
    </section>
  );
}

function paint(canvas: HTMLCanvasElement, { columns, rows, cells }: Offsets, chosen: [number, number] | null, column: number, width: number, height: number): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext('2d')!;
  ctx.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const most = cells.reduce((a, b) => Math.max(a, b), 0);
  const y = (row: number): number => (rows - 1 - row) * ROW_HEIGHT;
  ctx.fillStyle = colour('--panel');
  ctx.fillRect(LEFT, 0, columns * column, rows * ROW_HEIGHT);
  ctx.fillStyle = colour('--accent');
  cells.forEach((value, i) => {
    if (value <= 0) return;
    // A value above 0 is never shown as 0.
    ctx.globalAlpha = 0.12 + 0.88 * (Math.max(1, Math.ceil((value / most) * SHADES)) / SHADES);
    ctx.fillRect(LEFT + Math.floor(i / rows) * column, y(i % rows), column - 1, ROW_HEIGHT);
  });
  ctx.globalAlpha = 1;
  ctx.fillStyle = colour('--quiet');
  ctx.font = '11px system-ui, sans-serif';
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'right';
  for (const [row, text] of [[0, '0 ms'], [rows / 2, '500'], [rows - 1, '1 s']] as const) ctx.fillText(text, LEFT - 6, Math.min(rows * ROW_HEIGHT - 6, Math.max(6, y(row))));
  ctx.textAlign = 'left';
  const every = [1, 2, 5, 10, 30, 60, 120, 300, 600].find((step) => step * column >= 50) ?? 1200;
  for (let c = 0; c < columns; c += every) ctx.fillText(`${c} s`, LEFT + c * column, rows * ROW_HEIGHT + BOTTOM / 2);
  if (chosen === null) return;
  const [from, until] = [Math.min(...chosen), Math.max(...chosen) + 1];
  ctx.strokeStyle = colour('--ink');
  ctx.lineWidth = 1;
  for (let c = Math.floor(from / rows); c * rows < until; c++) {
    const [low, high] = [Math.max(from, c * rows) - c * rows, Math.min(until, (c + 1) * rows) - c * rows];
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = colour('--ink');
    ctx.fillRect(LEFT + c * column, (rows - high) * ROW_HEIGHT, column, (high - low) * ROW_HEIGHT);
    ctx.globalAlpha = 1;
    ctx.strokeRect(LEFT + c * column - 0.5, (rows - high) * ROW_HEIGHT + 0.5, column, Math.max(2, (high - low) * ROW_HEIGHT - 1));
  }
}
