// Draws a plan on a canvas. Rectangles are sorted by colour, since setting fillStyle is expensive.

import { type Frames, FrameKind } from '../logic/decode';
import type { Palette } from '../logic/colours';
import { isFolded, runText } from '../logic/fold';
import { counted, formatCount, formatShare } from '../logic/format';
import type { Tree } from '../logic/layout';
import { groupValue, shorten } from '../logic/names';
import { DIMMED, type Match, NARROW, type Plan } from './plan';

export interface Skin {
  palette: Palette;
  background: string;
  dimFill: string;
  dimInk: string;
  hatch: string;
  hatchInk: string;
  mark: string;
}

export const ROW = 18;
const FONT = 'ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", "Liberation Mono", Consolas, monospace';

export interface Surface {
  ctx: CanvasRenderingContext2D;
  width: number;
  height: number;
  dpr: number;
  /** The top of a row, in device pixels. */
  rowTop: (row: number) => number;
}

const counts = new Uint32Array(257);
let order = new Uint32Array(4096);

/** A text behind the name of a frame, if there is room. */
export type Note = (node: number) => string;

export interface Texts {
  note?: Note;
  /** Whether a click loads undrawn frames. */
  canLoad?: boolean;
}

export function paint(plan: Plan, tree: Tree, frames: Frames, skin: Skin, surface: Surface, texts: Texts = {}): void {
  const { ctx, dpr, rowTop } = surface;
  const rects = plan.rects;
  const high = Math.round(ROW * dpr) - Math.max(1, Math.round(dpr));
  const gap = Math.max(1, Math.round(dpr));
  ctx.fillStyle = skin.background;
  ctx.fillRect(0, 0, surface.width, surface.height);

  // Counting sort of the rectangles by colour.
  const { length, x, w: wide, row, colour: colours } = rects;
  if (order.length < length) order = new Uint32Array(x.length);
  counts.fill(0);
  for (let i = 0; i < length; i++) counts[colours[i] + 1]++;
  for (let c = 0; c < 256; c++) counts[c + 1] += counts[c];
  for (let i = 0; i < length; i++) order[counts[colours[i]]++] = i;
  let current = -1;
  for (let k = 0; k < length; k++) {
    const i = order[k];
    const colour = colours[i];
    if (colour !== current) {
      current = colour;
      ctx.fillStyle = colour === DIMMED ? skin.dimFill : skin.palette.fill[colour];
    }
    const w = wide[i];
    ctx.fillRect(x[i], rowTop(row[i]), w > 3 * gap ? w - gap : w, high);
  }
  hatch(plan, skin, surface, high);
  labels(plan, tree, frames, skin, surface, texts);
  marks(plan, skin, surface, high, gap);
}

function hatch(plan: Plan, skin: Skin, { ctx, dpr, rowTop }: Surface, high: number): void {
  const { hatched } = plan;
  if (hatched.length === 0) return;
  ctx.save();
  ctx.beginPath();
  for (let i = 0; i < hatched.length; i++) ctx.rect(hatched.x[i], rowTop(hatched.row[i]), hatched.w[i], high);
  ctx.clip();
  ctx.strokeStyle = skin.hatch;
  ctx.lineWidth = Math.max(1, dpr);
  ctx.beginPath();
  const step = 6 * dpr;
  for (let i = 0; i < hatched.length; i++) {
    const top = rowTop(hatched.row[i]);
    const until = hatched.x[i] + hatched.w[i];
    // The lines are aligned to a fixed grid, so that they do not move while zooming.
    for (let x = Math.floor((hatched.x[i] - high) / step) * step; x < until; x += step) {
      ctx.moveTo(x, top + high);
      ctx.lineTo(x + high, top);
    }
  }
  ctx.stroke();
  ctx.restore();
}

function marks(plan: Plan, skin: Skin, { ctx, dpr, rowTop }: Surface, high: number, gap: number): void {
  const m = plan.marks;
  if (m.length === 0) return;
  ctx.fillStyle = skin.mark;
  const strip = Math.max(2, Math.round(2 * dpr));
  for (let i = 0; i < m.length; i++) {
    const top = rowTop(m.row[i]);
    const w = m.w[i];
    if (w <= 3 * gap || m.colour[i] === NARROW) ctx.fillRect(m.x[i], top, Math.max(gap, w), high);
    else ctx.fillRect(m.x[i], top + high - strip, w - gap, strip);
  }
}

/** The length of the shortest text about undrawn children. */
const HIDDEN_MIN = '1 child, 0%, not drawn'.length;

let charWidth = 0;
let charWidthFor = '';

function labels(plan: Plan, tree: Tree, frames: Frames, skin: Skin, surface: Surface, { note, canLoad = false }: Texts): void {
  const { ctx, dpr, rowTop } = surface;
  const normal = `${11 * dpr}px ${FONT}`;
  const bold = `600 ${11 * dpr}px ${FONT}`;
  ctx.font = normal;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  if (charWidthFor !== normal) {
    charWidth = ctx.measureText('mmmmmmmmmm').width / 10;
    charWidthFor = normal;
  }
  const pad = 4 * dpr;
  const middle = (ROW * dpr) / 2;
  const charsIn = (w: number): number => Math.floor((w - 2 * pad + 1) / charWidth);
  const rects = plan.rects;
  let font = normal;
  for (let k = 0; k < rects.length; k++) {
    const i = order[k];
    const node = rects.node[i];
    if (node < 0) continue;
    const chars = charsIn(rects.w[i]);
    if (chars < 2) continue;
    const f = tree.frame[node];
    const kind = frames.kinds[f];
    let text = shorten(frames.names[f], chars);
    const strong = kind === FrameKind.Group || node === 0;
    if (strong) {
      const name = frames.names[f];
      const more = `${name}  ${note === undefined ? formatShare(tree.sum[node], tree.sum[0]) : note(node)}`;
      if ((node !== 0 || note !== undefined) && more.length <= chars) text = more;
      else text = name.length <= chars ? name : shortenEnd(groupValue(name), chars);
    } else if (tree.run[node] > 0) {
      text = runLabel(tree, frames, node, chars, plan.match);
    } else if (kind === FrameKind.Cut) {
      text = shorten(`✂ ${frames.names[f]}`, chars);
    } else if (note !== undefined) {
      text = noted(frames.names[f], note(node), chars);
    }
    if (text === '') continue;
    const wanted = strong ? bold : normal;
    if (font !== wanted) {
      font = wanted;
      ctx.font = wanted;
    }
    const colour = rects.colour[i];
    const ink = colour === DIMMED ? skin.dimInk : skin.palette.ink[colour];
    if (ctx.fillStyle !== ink) ctx.fillStyle = ink;
    ctx.fillText(text, rects.x[i] + pad, rowTop(rects.row[i]) + middle);
  }
  ctx.font = normal;
  ctx.fillStyle = skin.hatchInk;
  const { hatched } = plan;
  for (let i = 0; i < hatched.length; i++) {
    const chars = charsIn(hatched.w[i]);
    // Most areas are too narrow for any text, and formatting is slow.
    if (chars < 3) continue;
    const few = `+ ${formatCount(tree.hiddenChildren[hatched.node[i]])}`;
    const text = chars < HIDDEN_MIN ? few : hiddenText(tree, hatched.node[i]);
    const forms = text === few ? [few] : [...(canLoad ? [`${text} – click to load`] : []), text, few];
    const fits = forms.find((form) => form.length <= chars);
    if (fits === undefined) continue;
    ctx.fillText(fits, hatched.x[i] + pad, rowTop(hatched.row[i]) + middle);
  }
}

/**
 * The longest label of a run that fits: with its first frame if a function calls it, and with the
 * number of frames that match the search, since they are not visible.
 */
export function runLabel(tree: Tree, frames: Frames, node: number, chars: number, match: Match | null): string {
  const length = tree.run[node];
  const first = frames.names[tree.frame[node]];
  if (!isFolded(tree, node)) {
    const whole = `▾ ${first}  ${counted(length, 'frame')}`;
    return whole.length <= chars ? whole : shortenEnd(`▾ ${shorten(first, chars - 2)}`, chars);
  }
  const all = textOf(tree, frames, node);
  const matching = match === null ? 0 : match.before[node + length] - match.before[node];
  const more = matching > 0 ? `, ${counted(matching, 'match', 'matches')}` : '';
  const frameCount = counted(length, 'frame');
  const parent = tree.parent[node];
  const called = parent !== 0 && frames.kinds[tree.frame[parent]] === FrameKind.Function;
  const short = shorten(first, chars - 2);
  const forms = [
    ...(called ? [`▸ ${first}  ${all}${more}`, `▸ ${first}  ${frameCount}${more}`] : []),
    ...(called && more === '' && short.length > 3 ? [`▸ ${short}`] : []),
    `▸ ${all}${more}`, `▸ ${frameCount}${more}`, `▸ ${frameCount}`, `▸ ${length}`,
  ];
  return forms.find((form) => form.length <= chars) ?? '▸';
}

// Run texts are cached: a label is drawn in every frame, and its text depends on every node of the run.
const texts = new WeakMap<Tree, Map<number, string>>();
function textOf(tree: Tree, frames: Frames, node: number): string {
  let known = texts.get(tree);
  if (known === undefined) {
    known = new Map();
    texts.set(tree, known);
  }
  let text = known.get(node);
  if (text === undefined) {
    text = runText(tree, frames, node);
    known.set(node, text);
  }
  return text;
}

/** The note is part of the meaning: the name is shortened for it. */
function noted(name: string, note: string, chars: number): string {
  const short = shorten(name, Math.max(0, chars - note.length - 2));
  if (short.length > 3 || short === name) return `${short}  ${note}`;
  return note.length > 0 && note.length <= chars && chars < 12 ? note : shorten(name, chars);
}

const shortenEnd = (text: string, chars: number): string =>
  text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;

/** The label of a node's undrawn children. */
export function hiddenText(tree: Tree, node: number): string {
  const count = tree.hiddenChildren[node];
  const what = count === 0 ? 'deeper frames' : counted(count, 'child', 'children');
  return `${what}, ${formatShare(tree.hidden[node], tree.sum[0])}, not drawn`;
}
