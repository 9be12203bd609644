// Colours. The eight hues are Paul Tol's "light" scheme, which is told apart by people with any
// kind of colour blindness and carries dark text; the ramp is cividis. Grey means "untagged" or
// "no package", never a ninth member.

import { FrameKind, type Frames } from './decode';
import type { Tree } from './layout';
import { UNTAGGED, groupValue } from './names';
import { packagesOf } from './packages';

export type ColourBy = 'group' | 'package' | 'value';

export const HUES = [
  '#77aadd', '#ee8866', '#eedd88', '#ffaabb', '#99ddff', '#44bb99', '#bbcc33', '#c3a6e0',
] as const;
export const GREY = '#bcc1c9';
export const GREY_SLOT = HUES.length;
const SHADES = 3;
/** The lightest of them. */
const LIGHT = 2;
const RAMP = [
  '#31446b', '#4b546c', '#666970', '#7c7b78', '#958f78', '#b0a572', '#cdbb68', '#ead35a', '#fee838',
];
export const RAMP_AT = (HUES.length + 1) * SHADES;
/** Entries of a palette: every hue in three shades, grey in three, then the ramp. */
export const PALETTE_SIZE = RAMP_AT + RAMP.length;

export type Theme = 'light' | 'dark';

export interface Palette {
  fill: string[];
  /** The text colour that reads on the fill of the same index. */
  ink: string[];
}

export function palette(theme: Theme): Palette {
  const dim = theme === 'dark' ? 0.86 : 1;
  const fill = [...HUES, GREY].flatMap((hue) => [1, 0.93, 1.06].map((f) => lit(hue, f * dim)));
  fill.push(...RAMP);
  return { fill, ink: fill.map((f) => (luminance(f) > 0.18 ? '#15181d' : '#ffffff')) };
}

function channels(hex: string): number[] {
  return [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
}

/** Towards white past 1, towards black below it. */
function lit(hex: string, factor: number): string {
  const f = channels(hex).map((c) => (factor > 1 ? c + (255 - c) * (factor - 1) * 5 : c * factor));
  return `#${f.map((c) => Math.round(Math.min(255, c)).toString(16).padStart(2, '0')).join('')}`;
}

export function luminance(hex: string): number {
  const [r, g, b] = channels(hex).map((c) => {
    const s = c / 255;
    return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

/**
 * Hands each name a hue and keeps it for as long as the page lives, so that a member does not
 * change colour when its rank does. Each name has a hue of its own until all eight are given.
 */
export class Hues {
  private readonly given = new Map<string, number>();
  private readonly used = new Uint32Array(HUES.length);

  /** Names in order of weight: the first ones get a hue to themselves. */
  assign(names: Iterable<string>): void {
    for (const name of names) this.slot(name);
  }

  slot(name: string): number {
    if (name === UNTAGGED || name === '') return GREY_SLOT;
    const known = this.given.get(name);
    if (known !== undefined) return known;
    const wish = hash(name) % HUES.length;
    let best = wish;
    for (let k = 0; k < HUES.length; k++) {
      const slot = (wish + k) % HUES.length;
      if (this.used[slot] < this.used[best]) best = slot;
    }
    this.used[best]++;
    this.given.set(name, best);
    return best;
  }
}

/** The hues of what the graph can be coloured by; kept for as long as the page lives. */
export interface Painter {
  groups: Hues;
  packages: Hues;
}

/** Each node's index into the palette. */
export function colourNodes(tree: Tree, frames: Frames, by: ColourBy, { groups, packages }: Painter): Uint8Array {
  const { n, frame, depth, span } = tree;
  const out = new Uint8Array(n);
  const k = frames.names.length;
  const home = packagesOf(frames.names, frames.files);
  const shade = new Uint8Array(k);
  for (let f = 0; f < k; f++) shade[f] = hash(by === 'group' ? home[f] : frames.names[f]) % SHADES;
  if (by === 'value') return heat(tree, out);
  const grey = GREY_SLOT * SHADES;
  if (by === 'package') {
    packages.assign(heaviest(tree, home));
    const slot = new Uint8Array(k);
    for (let f = 0; f < k; f++) {
      slot[f] = frames.kinds[f] === FrameKind.Function ? packages.slot(home[f]) : GREY_SLOT;
    }
    for (let i = 1; i < n; i++) out[i] = slot[frame[i]] * SHADES + shade[frame[i]];
  } else {
    let slot: number = GREY_SLOT;
    for (let i = 1; i < n; i++) {
      const f = frame[i];
      if (depth[i] === 1) {
        slot = frames.kinds[f] === FrameKind.Group ? groups.slot(groupValue(frames.names[f])) : GREY_SLOT;
      }
      out[i] = slot * SHADES + (frames.kinds[f] === FrameKind.Group ? 0 : shade[f]);
    }
  }
  out[0] = grey;
  // A folded run is of several packages; of a group it has the plain hue.
  for (let i = 1; i < n; i++) {
    if (span[i] > 1) out[i] = by === 'package' ? grey : Math.floor(out[i] / SHADES) * SHADES + LIGHT;
  }
  return out;
}

// The packages that most is spent in, first: those get a hue to themselves.
function heaviest(tree: Tree, home: string[]): string[] {
  const byFrame = new Float64Array(home.length);
  for (let i = 0; i < tree.n; i++) byFrame[tree.frame[i]] += tree.self[i];
  const spent = new Map<string, number>();
  home.forEach((name, f) => {
    spent.set(name, (spent.get(name) ?? 0) + byFrame[f]);
  });
  return [...spent].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

// Bright is where much is spent in the frame itself; the root of the share spreads the small ones.
function heat(tree: Tree, out: Uint8Array): Uint8Array {
  let most = 0;
  for (let i = 0; i < tree.n; i++) if (tree.self[i] > most) most = tree.self[i];
  for (let i = 0; i < tree.n; i++) {
    const share = most > 0 ? Math.sqrt(tree.self[i] / most) : 0;
    out[i] = RAMP_AT + Math.min(RAMP.length - 1, Math.round(share * (RAMP.length - 1)));
  }
  return out;
}
