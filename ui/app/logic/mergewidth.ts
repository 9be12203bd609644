import type { Tree } from './layout';

/**
 * The width in pixels for which callers and callees are merged. Those of a tree without undrawn values stay when the window
 * becomes wider, so they are merged for the width of the screen; others are merged again by the server. A hidden window can
 * have no width.
 */
export function mergeWidth({ undrawn }: Pick<Tree, 'undrawn'>, windowPixels: number, screenPixels: number, widest: number): number {
  const pixels = undrawn === 0 ? Math.max(windowPixels, screenPixels) : windowPixels;
  return Math.min(widest, Math.ceil(pixels) || widest);
}
