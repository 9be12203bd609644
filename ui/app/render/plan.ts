// Plans a draw: which frames are wide enough for a rectangle, which narrower neighbours share one, and
// where undrawn frames are hatched. It does not use a canvas, so it runs in Node. Positions are in
// device pixels; row 0 is the root's.

import { type Tree, hiddenStart } from '../logic/layout';

export interface Match {
  /** One entry per frame: 1 if its name matches. */
  hit: Uint8Array;
  /** One entry per node: the number of matches among the nodes before it. */
  before: Uint32Array;
}

/** The visible part of the tree. */
export interface Viewport {
  /** The visible part of the horizontal axis, in the profile's unit. */
  from: number;
  until: number;
  firstRow: number;
  lastRow: number;
  width: number;
}

/** Rectangles in growing arrays, which are reused between draws, so that a draw allocates almost nothing. */
class Rects {
  x = new Int32Array(4096);
  w = new Int32Array(4096);
  row = new Uint16Array(4096);
  colour = new Uint8Array(4096);
  /** The node, or -1 for several narrow ones. */
  node = new Int32Array(4096);
  length = 0;

  push(x: number, w: number, row: number, colour: number, node: number): void {
    if (this.length === this.x.length) this.grow();
    const i = this.length++;
    this.x[i] = x;
    this.w[i] = w;
    this.row[i] = row;
    this.colour[i] = colour;
    this.node[i] = node;
  }

  private grow(): void {
    const bigger = this.x.length * 2;
    const copy = <T extends Int32Array | Uint16Array | Uint8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.x = copy(this.x, new Int32Array(bigger));
    this.w = copy(this.w, new Int32Array(bigger));
    this.row = copy(this.row, new Uint16Array(bigger));
    this.colour = copy(this.colour, new Uint8Array(bigger));
    this.node = copy(this.node, new Int32Array(bigger));
  }
}

/** The colour index of a frame that does not match the search. */
export const DIMMED = 255;
/** The colour of the mark of frames that are too narrow to draw. */
export const NARROW = 1;
/** Narrower frames, in device pixels, are merged with their neighbours. */
const WIDTH_MIN = 1;

export class Plan {
  readonly rects = new Rects();
  /** The areas of undrawn children. */
  readonly hatched = new Rects();
  /** Matches, each at least one pixel wide; narrow ones have the colour `NARROW`. */
  readonly marks = new Rects();
  visited = 0;
  match: Match | null = null;

  private runFrom = new Int32Array(0);
  private runUntil = new Int32Array(0);
  private runColour = new Uint8Array(0);
  /** The last narrow mark of each row; -1 without one. */
  private lastMark = new Int32Array(0);

  build(tree: Tree, colours: Uint8Array, match: Match | null, win: Viewport): void {
    const { n, start, sum, end, row, span, hidden } = tree;
    const { rects, hatched, marks } = this;
    rects.length = 0;
    hatched.length = 0;
    marks.length = 0;
    this.match = match;
    this.prepareRuns(tree.maxRow);
    const { runFrom, runUntil, runColour } = this;
    const wide = win.until - win.from;
    if (!(wide > 0)) return;
    const scale = win.width / wide;
    let visited = 0;
    let i = 0;
    while (i < n) {
      visited++;
      const s = start[i];
      const w = sum[i];
      const d = row[i];
      // A frame of the other side of a comparison.
      if (w === 0 && i !== 0) {
        i = end[i];
        continue;
      }
      if (s + w <= win.from || s >= win.until || d > win.lastRow) {
        i = end[i];
        continue;
      }
      const left = (s - win.from) * scale;
      const right = left + w * scale;
      if (right - left < WIDTH_MIN) {
        if (d >= win.firstRow) {
          const x = Math.max(0, Math.floor(left));
          if (match !== null && match.before[end[i]] > match.before[i]) this.markNarrow(x, d, i);
          if (x <= runUntil[d]) {
            if (x + 1 > runUntil[d]) runUntil[d] = x + 1;
          } else {
            this.flush(d);
            runFrom[d] = x;
            runUntil[d] = x + 1;
            runColour[d] = match === null ? colours[i] : DIMMED;
          }
        }
        i = end[i];
        continue;
      }
      const x0 = Math.max(0, Math.round(left));
      const x1 = Math.min(win.width, Math.round(right));
      if (d >= win.firstRow && x1 > x0) {
        // A folded run matches if any of its frames does.
        const hit = match === null || match.before[i + span[i]] > match.before[i];
        rects.push(x0, x1 - x0, d, hit ? colours[i] : DIMMED, i);
        if (hit && match !== null) marks.push(x0, x1 - x0, d, 0, i);
      }
      const last = i + span[i] - 1;
      if (hidden[last] > 0 && d + 1 >= win.firstRow && d < win.lastRow) {
        const from = (hiddenStart(tree, last) - win.from) * scale;
        const a = Math.max(0, Math.round(from));
        const b = Math.min(win.width, Math.round(from + hidden[last] * scale));
        if (b > a) hatched.push(a, b - a, d + 1, 0, last);
      }
      i += span[i];
    }
    for (let d = 0; d <= tree.maxRow; d++) this.flush(d);
    this.visited = visited;
  }

  /** Marks a pixel; neighbouring ones are one mark. */
  private markNarrow(x: number, d: number, node: number): void {
    const { marks, lastMark } = this;
    const last = lastMark[d];
    if (last >= 0) {
      const until = marks.x[last] + marks.w[last];
      if (x < until) return;
      if (x === until) {
        marks.w[last]++;
        return;
      }
    }
    lastMark[d] = marks.length;
    marks.push(x, 1, d, NARROW, node);
  }

  private prepareRuns(maxRow: number): void {
    if (this.runFrom.length <= maxRow) {
      this.runFrom = new Int32Array(maxRow + 1);
      this.runUntil = new Int32Array(maxRow + 1);
      this.runColour = new Uint8Array(maxRow + 1);
      this.lastMark = new Int32Array(maxRow + 1);
    }
    this.runUntil.fill(-1);
    this.lastMark.fill(-1);
  }

  private flush(d: number): void {
    if (this.runUntil[d] < 0) return;
    this.rects.push(this.runFrom[d], this.runUntil[d] - this.runFrom[d], d, this.runColour[d], -1);
    this.runUntil[d] = -1;
  }
}
