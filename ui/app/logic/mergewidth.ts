import type { Tree } from './layout';

/**
 * The width in pixels for which callers and callees are merged. Those of a tree without undrawn values stay when the window
 * becomes wider, so they are merged for the widest; others are merged again by the server. A hidden window can have no width.
 */
export function mergeWidth({ undrawn }: Pick<Tree, 'undrawn'>, windowPixels: number, widest: number): number {
  return undrawn === 0 ? widest : Math.min(widest, Math.ceil(windowPixels) || widest);
}
