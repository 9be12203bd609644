// Colours. Every name prefers one hue, so a member has the same colour on every page and for every user; where two
// values on the screen prefer the same, one of them gets another (`assignHues`). The hues differ in lightness and
// chroma too, so that they differ for colour-blind people, and are readable under dark text; the ramp is cividis.
// Grey means "untagged" or "no package", never a member.

import { FrameKind, type Frames } from './decode';
import { hash, hashesOf } from './hash';
import type { Tree } from './layout';
import { UNTAGGED, groupValue } from './names';
import { packagesOf } from './packages';

export type ColourBy = 'group' | 'package' | 'value';

/** Any two differ by a CIEDE2000 distance of at least 13, and by 7 without red or green cones. */
export const HUES = [
  '#ce6489', '#e398ae', '#dbb3a7', '#cd702e', '#a58470', '#ebcca2', '#d79628', '#ab965d', '#e4cb53', '#a8bc69',
  '#caf68e', '#57bc85', '#a7f9d5', '#699691', '#4ed7f9', '#80aafa', '#8a84e4', '#b1a2ce', '#ac75b3', '#fcd8f1',
] as const;
export const GREY = '#bcc1c9';
export const GREY_INDEX = HUES.length;
const SHADES = 3;
/** The lightest shade. */
const LIGHT = 2;
const RAMP = [
  '#31446b', '#4b546c', '#666970', '#7c7b78', '#958f78', '#b0a572', '#cdbb68', '#ead35a', '#fee838',
];
export const RAMP_AT = (HUES.length + 1) * SHADES;
/** Entries of a palette: three shades of every hue, three of grey, the ramp, and the diverging colours. */
export const DIVERGING_AT = RAMP_AT + RAMP.length;
/** From less to more: blue to orange, which differ for colour-blind people too. */
export const DIVERGING = [
  '#2b6cb0', '#5b93cf', '#86b1de', '#aecbea', '#cfdfee', '#d9dbde', '#f3dfc6', '#f4c99a', '#eda963', '#e08a35', '#c96512',
] as const;
export const PALETTE_SIZE = DIVERGING_AT + DIVERGING.length;

export type Theme = 'light' | 'dark';

export interface Palette {
  fill: string[];
  /** The text colour with enough contrast to the fill of the same index. */
  ink: string[];
}

export function palette(theme: Theme): Palette {
  const dim = theme === 'dark' ? 0.86 : 1;
  const fill = [...HUES, GREY].flatMap((hue) => [1, 0.93, 1.06].map((f) => lit(hue, f * dim)));
  fill.push(...RAMP, ...DIVERGING);
  return { fill, ink: fill.map((f) => (luminance(f) > 0.2 ? '#15181d' : '#ffffff')) };
}

function channels(hex: string): number[] {
  return [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
}

/** Lightens by a factor above 1, darkens below 1. */
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

/** The seed, among those tried, that gives Davy's own members the most distinct hues. */
const SEED = 0x814c6dde;

/** The index of the hue that a name prefers. */
export function hueIndex(name: string): number {
  return name === UNTAGGED || name === '' ? GREY_INDEX : hash(name, SEED) % HUES.length;
}

/** The hue of every value of a label that is on the screen. */
export type Hues = ReadonlyMap<string, number>;

/**
 * Different hues for up to as many values as there are hues; further values share the hues evenly. A value that no
 * other value competes with gets the hue that it prefers, whatever else is on the screen.
 */
export function assignHues(values: Iterable<string>): Hues {
  const names = [...new Set(values)].sort();
  const hues = new Map<string, number>();
  const used = new Uint16Array(HUES.length);
  const evicted: string[] = [];
  for (const name of names) {
    const hue = hueIndex(name);
    if (hue === GREY_INDEX) hues.set(name, hue);
    else if (used[hue] > 0) evicted.push(name);
    else {
      used[hue]++;
      hues.set(name, hue);
    }
  }
  for (const name of evicted) {
    let hue = hash(name) % HUES.length;
    const least = used.reduce((a, b) => Math.min(a, b));
    while (used[hue] > least) hue = (hue + STRIDE) % HUES.length;
    used[hue]++;
    hues.set(name, hue);
  }
  return hues;
}
/** Neighbouring hues are alike; this stride visits all of them, distant ones first. */
const STRIDE = 7;

/** The fill of a timeline series; series of one group differ in shade. */
export function fillOf(fill: string[], group: string, name: string, hues: Hues): string {
  return fill[(hues.get(group) ?? hueIndex(group)) * SHADES + (name === group ? 0 : hash(name) % SHADES)];
}

/** The palette index of each node. */
export function colourNodes(tree: Tree, frames: Frames, by: ColourBy, hues: Hues = new Map()): Uint8Array {
  const { n, frame, depth, span } = tree;
  const out = new Uint8Array(n);
  const k = frames.names.length;
  const packages = packagesOf(frames.names, frames.files);
  const shade = new Uint8Array(k);
  const hashes = hashesOf(by === 'group' ? packages : frames.names);
  for (let f = 0; f < k; f++) shade[f] = hashes[f] % SHADES;
  if (by === 'value') return heat(tree, out);
  const grey = GREY_INDEX * SHADES;
  if (by === 'package') {
    const colour = new Uint8Array(k);
    for (let f = 0; f < k; f++) {
      colour[f] = (frames.kinds[f] === FrameKind.Function ? hueIndex(packages[f]) : GREY_INDEX) * SHADES + shade[f];
    }
    for (let i = 1; i < n; i++) out[i] = colour[frame[i]];
  } else {
    let hue: number = GREY_INDEX;
    for (let i = 1; i < n; i++) {
      const f = frame[i];
      if (depth[i] === 1) {
        const value = frames.kinds[f] === FrameKind.Group ? groupValue(frames.names[f]) : '';
        hue = hues.get(value) ?? hueIndex(value);
      }
      out[i] = hue * SHADES + (frames.kinds[f] === FrameKind.Group ? 0 : shade[f]);
    }
  }
  out[0] = grey;
  // A folded run spans several packages: grey by package, the group's plain hue by group.
  for (let i = 1; i < n; i++) {
    if (span[i] > 1) out[i] = by === 'package' ? grey : Math.floor(out[i] / SHADES) * SHADES + LIGHT;
  }
  return out;
}

// A brighter frame has a larger self value; the square root spreads out the small ones.
function heat(tree: Tree, out: Uint8Array): Uint8Array {
  let most = 0;
  for (let i = 0; i < tree.n; i++) if (tree.self[i] > most) most = tree.self[i];
  for (let i = 0; i < tree.n; i++) {
    const share = most > 0 ? Math.sqrt(tree.self[i] / most) : 0;
    out[i] = RAMP_AT + Math.min(RAMP.length - 1, Math.round(share * (RAMP.length - 1)));
  }
  return out;
}

/** The values of the first grouping label in a tree. */
export function groupsOf(tree: Tree, frames: Frames): string[] {
  const values: string[] = [];
  for (let i = 1; i < tree.n; i = tree.end[i]) {
    if (frames.kinds[tree.frame[i]] === FrameKind.Group) values.push(groupValue(frames.names[tree.frame[i]]));
  }
  return values;
}
