// The timeline's drawing: a canvas, on which a time bucket covers exactly its time and a bucket without data is a gap, and
// an element over it for the cursor and the selection.

import { timeLabels, timeTicks, valueTicks } from '../logic/axes';
import { formatDuration } from '../logic/format';
import type { Span } from '../logic/range';
import type { RateScale } from '../logic/rates';
import { formatRateTicks, rateTickSteps } from '../logic/ticks';
import { type Group, MARK_SIGNS } from '../logic/markers';
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
  marks: readonly Group[];
}

export interface Events {
  picked(from: number, until: number): void;
  hovered(bucket: number | null): void;
}

const HEIGHT = 130;
const TOP = 6;
const BOTTOM = 22;
/** Room for the half of a label right of the last tick. */
const RIGHT = 24;
const FONT = '11px system-ui, sans-serif';
/** Lines differ by more than their colour. */
const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3]];
/** A narrower drag counts as a click. */
const SLACK = 4;
const TICK_WIDTH = 70;
const TICK_HEIGHT = 26;

export class Plot {
  private readonly canvas = document.createElement('canvas');
  private readonly over = document.createElement('div');
  private readonly cursor = document.createElement('div');
  private readonly selection = document.createElement('div');
  private readonly note = document.createElement('div');
  private readonly observer = new ResizeObserver(() => this.draw());
  private picture: Picture | null = null;
  private waiting: Picture | null = null;
  private tops: (number | null)[][] = [];
  private left = 64;
  private pressed: number | null = null;

  constructor(private readonly host: HTMLElement, private readonly events: Events, private readonly height = HEIGHT) {
    this.over.className = 'plot-over';
    this.cursor.className = 'plot-cursor';
    this.selection.className = 'plot-selection';
    this.note.className = 'plot-note';
    this.cursor.hidden = this.selection.hidden = this.note.hidden = true;
    this.over.append(this.cursor, this.selection, this.note);
    host.append(this.canvas, this.over);
    this.over.addEventListener('pointerdown', this.down);
    this.over.addEventListener('pointermove', this.move);
    this.over.addEventListener('pointerup', this.up);
    this.over.addEventListener('pointercancel', this.cancel);
    this.over.addEventListener('pointerleave', this.leave);
    this.observer.observe(host);
  }

  dispose(): void {
    this.observer.disconnect();
    this.canvas.remove();
    this.over.remove();
  }

  show(picture: Picture): void {
    // A refresh waits for the end of a drag, which it would interrupt.
    if (this.pressed !== null) {
      this.waiting = picture;
      return;
    }
    this.waiting = null;
    this.picture = picture;
    this.tops = picture.stacked ? stackedTops(picture.lines) : picture.lines.map((l) => l.values);
    this.draw();
    this.mark(picture);
  }

  // Elements, so that the browser shows what happened under the pointer.
  private mark({ marks, range }: Picture): void {
    for (const old of this.over.querySelectorAll('.plot-mark')) old.remove();
    for (const { at, kind, marks: of } of marks) {
      const flag = document.createElement('span');
      flag.className = `plot-mark ${kind}`;
      flag.style.left = `${(100 * (at - range.from)) / (range.until - range.from)}%`;
      flag.dataset.sign = of.length > 1 ? String(of.length) : MARK_SIGNS[kind];
      flag.title = of.map((mark) => mark.text).slice(0, 12).join('\n');
      this.over.append(flag);
    }
  }

  private get width(): number {
    return Math.max(20, this.host.clientWidth - this.left - RIGHT);
  }

  private readonly down = (e: PointerEvent): void => {
    if (e.button !== 0 || this.picture === null) return;
    this.pressed = this.x(e);
    this.over.setPointerCapture(e.pointerId);
  };

  private readonly move = (e: PointerEvent): void => {
    const p = this.picture;
    if (p === null) return;
    const x = this.x(e);
    this.cursor.hidden = false;
    this.cursor.style.transform = `translateX(${x}px)`;
    const bucket = Math.floor((this.timeAt(x) - (p.times[0] ?? 0)) / p.step);
    this.events.hovered(bucket >= 0 && bucket < p.times.length ? bucket : null);
    if (this.pressed === null) return;
    const [a, b] = [Math.min(this.pressed, x), Math.max(this.pressed, x)];
    const isDrag = b - a >= SLACK;
    this.selection.hidden = this.note.hidden = !isDrag;
    this.selection.style.transform = `translateX(${a}px)`;
    this.selection.style.width = `${b - a}px`;
    this.note.textContent = formatDuration(this.timeAt(b) - this.timeAt(a));
    this.note.style.transform = `translate(${a + 4}px, 4px)`;
  };

  private readonly up = (e: PointerEvent): void => {
    const from = this.pressed;
    const x = this.x(e);
    this.cancel();
    if (from === null || Math.abs(x - from) < SLACK) return;
    this.events.picked(Math.round(this.timeAt(Math.min(from, x))), Math.round(this.timeAt(Math.max(from, x))));
  };

  private readonly cancel = (): void => {
    this.pressed = null;
    this.selection.hidden = this.note.hidden = true;
    if (this.waiting) this.show(this.waiting);
  };

  private readonly leave = (): void => {
    if (this.pressed !== null) return;
    this.cursor.hidden = true;
    this.events.hovered(null);
  };

  private x(e: PointerEvent): number {
    return Math.min(this.width, Math.max(0, e.clientX - this.over.getBoundingClientRect().left));
  }

  private timeAt(x: number): number {
    const { from, until } = this.picture!.range;
    return from + (x / this.width) * (until - from);
  }

  private draw(): void {
    const p = this.picture;
    const ratio = window.devicePixelRatio || 1;
    const wide = this.host.clientWidth;
    if (p === null || wide === 0) return;
    const style = getComputedStyle(this.host);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const inner = this.height - TOP - BOTTOM;
    const max = this.tops.reduce((most, values) => values.reduce<number>((m, v) => Math.max(m, v ?? 0), most), 0) * 1.05 || 1;
    const values = valueTicks(max, rateTickSteps(p.scale), inner / TICK_HEIGHT);
    const labels = p.lines.length > 0 ? formatRateTicks(values, p.scale) : values.map(() => '');
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const ctx = this.canvas.getContext('2d')!;
    ctx.scale(ratio, ratio);
    ctx.font = FONT;
    this.left = Math.max(52, 14 + Math.ceil(labels.reduce((most, label) => Math.max(most, ctx.measureText(label).width), 0)));
    const { left, width } = this;
    Object.assign(this.over.style, { left: `${left}px`, top: `${TOP}px`, width: `${width}px`, height: `${inner}px` });
    const x = (t: number): number => left + ((t - p.range.from) / (p.range.until - p.range.from)) * width;
    const y = (v: number): number => TOP + inner * (1 - v / max);

    ctx.textBaseline = 'middle';
    const line = (x0: number, y0: number, x1: number, y1: number): void => {
      ctx.beginPath();
      ctx.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
      ctx.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
      ctx.stroke();
    };
    ctx.strokeStyle = colour('--rule');
    ctx.fillStyle = colour('--quiet');
    ctx.textAlign = 'right';
    values.forEach((v, i) => {
      line(left - 4, y(v), left + width, y(v));
      ctx.fillText(labels[i], left - 8, y(v));
    });
    ctx.textAlign = 'center';
    const times = timeTicks(p.range.from, p.range.until, width / TICK_WIDTH);
    timeLabels(times, p.range).forEach((label, i) => {
      line(x(times[i]), TOP, x(times[i]), TOP + inner + 4);
      ctx.fillText(label, x(times[i]), TOP + inner + 13);
    });

    ctx.save();
    ctx.beginPath();
    ctx.rect(left, TOP - 1, width, inner + 1);
    ctx.clip();
    p.lines.forEach((one, i) => (p.stacked ? this.area(ctx, one, i, x, y) : this.steps(ctx, one, i, x, y)));
    if (p.pick !== null) this.shade(ctx, p.pick, x, colour);
    ctx.restore();
  }

  // The boxes of one series of the stack, each on top of the series below.
  private area(ctx: CanvasRenderingContext2D, { colour }: ColouredLine, index: number, x: (t: number) => number, y: (v: number) => number): void {
    const { times, step } = this.picture!;
    const below = index > 0 ? this.tops[index - 1] : null;
    ctx.fillStyle = colour;
    this.tops[index].forEach((top, b) => {
      if (top === null) return;
      const [y0, y1] = [y(top), y(below?.[b] ?? 0)];
      if (y1 - y0 < 0.05) return;
      const [x0, x1] = [Math.round(x(times[b])), Math.round(x(times[b] + step))];
      ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
    });
  }

  private steps(ctx: CanvasRenderingContext2D, { colour }: ColouredLine, index: number, x: (t: number) => number, y: (v: number) => number): void {
    const { times, step } = this.picture!;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.75;
    ctx.setLineDash(DASHES[index % DASHES.length]);
    ctx.beginPath();
    let isDrawing = false;
    this.tops[index].forEach((v, b) => {
      if (v === null) {
        isDrawing = false;
        return;
      }
      const [x0, x1, at] = [x(times[b]), x(times[b] + step), y(v)];
      if (isDrawing) ctx.lineTo(x0, at);
      else ctx.moveTo(x0, at);
      ctx.lineTo(x1, at);
      isDrawing = true;
    });
    ctx.stroke();
    ctx.setLineDash([]);
  }

  // Dims everything outside of the selection.
  private shade(ctx: CanvasRenderingContext2D, pick: Span, x: (t: number) => number, colour: (name: string) => string): void {
    const { left, width } = this;
    const edge = (t: number): number => Math.min(left + width, Math.max(left, x(t)));
    const [a, b] = [edge(pick.from), edge(pick.until)];
    ctx.globalAlpha = 0.66;
    ctx.fillStyle = colour('--page');
    ctx.fillRect(left, 0, a - left, this.height);
    ctx.fillRect(b, 0, left + width - b, this.height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour('--accent');
    ctx.fillRect(a, 0, 2, this.height);
    ctx.fillRect(b - 2, 0, 2, this.height);
  }
}
