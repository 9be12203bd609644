// The timeline's drawing: uPlot for scales, axes and the cursor, and custom paths, so that a time
// bucket covers exactly its time and a bucket without data is a gap.

import uPlot from 'uplot';
import { formatDuration } from '../logic/format';
import { type RateScale, formatRateTicks, rateTickSteps } from '../logic/rates';
import type { Span } from '../logic/range';
import { type PlotLine, stackedTops } from '../logic/timeline';

export interface ColouredLine extends PlotLine {
  colour: string;
}

export interface Picture {
  times: number[];
  step: number;
  lines: ColouredLine[];
  stacked: boolean;
  scale: RateScale;
  range: Span;
  pick: Span | null;
}

export interface Events {
  picked(from: number, until: number): void;
  hovered(bucket: number | null): void;
}

const HEIGHT = 130;
/** Lines differ by more than their colour. */
const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3]];
/** A narrower drag counts as a click. */
const SLACK = 4;

export class Plot {
  private plot: uPlot | null = null;
  private picture: Picture | null = null;
  private waiting: Picture | null = null;
  private look = '';
  private tops: (number | null)[][] = [];
  private readonly observer = new ResizeObserver(() => this.resize());
  private readonly note = document.createElement('div');

  constructor(private readonly host: HTMLElement, private readonly events: Events) {
    this.note.className = 'plot-note';
    this.observer.observe(host);
  }

  dispose(): void {
    this.observer.disconnect();
    this.plot?.destroy();
  }

  show(picture: Picture): void {
    // A refresh waits for the end of a drag, which it would interrupt.
    if (this.plot && this.plot.select.width > 0) {
      this.waiting = picture;
      return;
    }
    this.waiting = null;
    this.picture = picture;
    this.tops = picture.stacked ? stackedTops(picture.lines) : picture.lines.map((l) => l.values);
    const data = [picture.times, ...this.tops] as uPlot.AlignedData;
    const style = getComputedStyle(this.host);
    const look = JSON.stringify([picture.lines.map((l) => [l.name, l.colour]), picture.stacked, picture.scale, style.color]);
    if (this.plot && look === this.look) {
      this.plot.setData(data, false);
      this.plot.setScale('x', { min: picture.range.from, max: picture.range.until });
      return;
    }
    this.look = look;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(picture, style), data, this.host);
    this.host.append(this.note);
  }

  private options(picture: Picture, style: CSSStyleDeclaration): uPlot.Options {
    const ink = style.getPropertyValue('--quiet').trim() || '#777';
    const grid = { stroke: style.getPropertyValue('--rule').trim() || '#ddd', width: 1 };
    const axis = { stroke: ink, grid, ticks: { ...grid, size: 4 }, font: '11px system-ui, sans-serif' };
    return {
      width: Math.max(50, this.host.clientWidth),
      height: HEIGHT,
      ms: 1,
      legend: { show: false },
      // Room for the half of a label right of the last tick.
      padding: [6, 24, 0, 0],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: SLACK },
      },
      scales: {
        x: { time: true, range: () => [this.picture!.range.from, this.picture!.range.until] },
        y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.05 : 1] },
      },
      axes: [
        {
          ...axis, size: 22, gap: 2, space: 70,
          values: (_u, ticks) => clock(ticks, this.picture!.range),
        },
        {
          ...axis, size: (_u, labels) => axisWidth(labels), gap: 4, space: 26, incrs: rateTickSteps(picture.scale),
          values: (_u, ticks) => (picture.lines.length > 0 ? formatRateTicks(ticks, picture.scale) : ticks.map(() => '')),
        },
      ],
      series: [
        {},
        ...picture.lines.map((line, i): uPlot.Series =>
          picture.stacked
            ? { fill: line.colour, width: 0, points: { show: false }, paths: (u, _s, a, b) => this.area(u, i, a, b) }
            : { stroke: line.colour, width: 1.75, dash: DASHES[i % DASHES.length], points: { show: false }, paths: (u, _s, a, b) => this.steps(u, i, a, b) },
        ),
      ],
      hooks: {
        setSelect: [(u) => this.select(u)],
        setCursor: [(u) => this.cursor(u)],
        draw: [(u) => this.shadePick(u)],
      },
    };
  }

  // The boxes of one series of the stack, each on top of the series below.
  private area(u: uPlot, index: number, from: number, until: number): uPlot.Series.Paths {
    const fill = new Path2D();
    const { times, step } = this.picture!;
    const below = index > 0 ? this.tops[index - 1] : null;
    const above = this.tops[index];
    for (let b = Math.max(0, from - 1); b <= until; b++) {
      const top = above[b];
      if (top === null || top === undefined) continue;
      const y0 = u.valToPos(top, 'y', true);
      const y1 = u.valToPos(below?.[b] ?? 0, 'y', true);
      if (y1 - y0 < 0.05) continue;
      const [x0, x1] = this.sides(u, times[b], step);
      fill.rect(x0, y0, x1 - x0, y1 - y0);
    }
    return { fill, stroke: null, clip: null, band: null, gaps: null, flags: 1 } as unknown as uPlot.Series.Paths;
  }

  private steps(u: uPlot, index: number, from: number, until: number): uPlot.Series.Paths {
    const stroke = new Path2D();
    const { times, step } = this.picture!;
    const values = this.tops[index];
    let drawing = false;
    for (let b = Math.max(0, from - 1); b <= until; b++) {
      const v = values[b];
      if (v === null || v === undefined) {
        drawing = false;
        continue;
      }
      const y = u.valToPos(v, 'y', true);
      const [x0, x1] = this.sides(u, times[b], step);
      if (drawing) stroke.lineTo(x0, y);
      else stroke.moveTo(x0, y);
      stroke.lineTo(x1, y);
      drawing = true;
    }
    return { stroke, fill: null, clip: null, band: null, gaps: null, flags: 0 } as unknown as uPlot.Series.Paths;
  }

  private sides(u: uPlot, t: number, step: number): [number, number] {
    const { left, width } = u.bbox;
    const clip = (x: number): number => Math.min(left + width, Math.max(left, Math.round(x)));
    return [clip(u.valToPos(t, 'x', true)), clip(u.valToPos(t + step, 'x', true))];
  }

  private select(u: uPlot): void {
    const { left, width } = u.select;
    if (width < SLACK || !this.picture) return;
    const from = Math.round(u.posToVal(left, 'x'));
    const until = Math.round(u.posToVal(left + width, 'x'));
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (until > from) this.events.picked(from, until);
    if (this.waiting) this.show(this.waiting);
  }

  private cursor(u: uPlot): void {
    const { left } = u.cursor;
    const p = this.picture;
    if (!p || left === undefined || left === null || left < 0) {
      this.note.hidden = true;
      this.events.hovered(null);
      return;
    }
    const t = u.posToVal(left, 'x');
    const bucket = Math.floor((t - (p.times[0] ?? 0)) / p.step);
    const there = bucket >= 0 && bucket < p.times.length;
    this.events.hovered(there ? bucket : null);
    const { width } = u.select;
    this.note.hidden = !(width > SLACK);
    if (width > SLACK) {
      const wide = u.posToVal(u.select.left + width, 'x') - u.posToVal(u.select.left, 'x');
      this.note.textContent = formatDuration(wide);
      this.note.style.transform = `translate(${u.over.offsetLeft + u.select.left + 4}px, 8px)`;
    }
  }

  // Dims everything outside of the selection.
  private shadePick(u: uPlot): void {
    const pick = this.picture?.pick;
    if (!pick) return;
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const edge = (t: number): number => Math.min(left + width, Math.max(left, u.valToPos(t, 'x', true)));
    const [a, b] = [edge(pick.from), edge(pick.until)];
    const style = getComputedStyle(this.host);
    ctx.save();
    ctx.globalAlpha = 0.66;
    ctx.fillStyle = style.getPropertyValue('--page').trim();
    ctx.fillRect(left, top, a - left, height);
    ctx.fillRect(b, top, left + width - b, height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = style.getPropertyValue('--accent').trim();
    ctx.fillRect(a, top, 2, height);
    ctx.fillRect(b - 2, top, 2, height);
    ctx.restore();
  }

  private resize(): void {
    this.plot?.setSize({ width: Math.max(50, this.host.clientWidth), height: HEIGHT });
  }
}

/** The width of the vertical axis, in pixels. */
function axisWidth(labels: string[] | null): number {
  const longest = (labels ?? []).reduce((most, label) => Math.max(most, label.length), 0);
  return Math.max(64, 14 + Math.ceil(longest * 6.2));
}

/** Times of day, with the date at the first tick of a day. */
function clock(ticks: number[], range: Span): string[] {
  const long = range.until - range.from > 26 * 3600_000;
  const fine = range.until - range.from < 10 * 60_000;
  let day = '';
  return ticks.map((t) => {
    const d = new Date(t);
    const two = (n: number): string => String(n).padStart(2, '0');
    const date = `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
    const time = `${two(d.getHours())}:${two(d.getMinutes())}${fine ? `:${two(d.getSeconds())}` : ''}`;
    if (!long || date === day) return time;
    day = date;
    return time === '00:00' ? date : `${date} ${time}`;
  });
}
