// The visible part of the tree. The horizontal axis is a fraction of the whole profile, so that a view
// remains valid when the profile grows; the vertical axis is in pixels from the root.

import type { Tree } from '../logic/layout';
import { type Fraction, type NodeId, type Px, fraction, px } from '../logic/units';

export interface Camera {
  left: Fraction;
  right: Fraction;
  /** How far the root is scrolled out of view. */
  top: Px;
}

export const WHOLE: Camera = { left: fraction(0), right: fraction(1), top: px(0) };

/** The smallest width of a view: below it, doubles are not precise enough. */
const WIDTH_MIN = 1e-10;

export function edges(tree: Tree, node: NodeId): { left: Fraction; right: Fraction } {
  const total = tree.sum[0] || 1;
  return {
    left: fraction(tree.start[node] / total),
    right: fraction((tree.start[node] + tree.sum[node]) / total),
  };
}

export function clamp(camera: Camera, contentHeight: number, height: number): Camera {
  const width = Math.min(1, Math.max(WIDTH_MIN, camera.right - camera.left));
  const left = Math.min(1 - width, Math.max(0, camera.left));
  const top = Math.min(Math.max(0, contentHeight - height), Math.max(0, camera.top));
  return { left: fraction(left), right: fraction(left + width), top: px(top) };
}

/** Zooms by a factor around a fixed point of the screen (0: left edge, 1: right edge). */
export function zoomAbout(camera: Camera, factor: number, at: number): Camera {
  const width = camera.right - camera.left;
  const fixed = camera.left + width * at;
  const next = Math.min(1, Math.max(WIDTH_MIN, width * factor));
  const left = fixed - next * at;
  return { left: fraction(left), right: fraction(left + next), top: camera.top };
}

export function panBy(camera: Camera, dx: number, dy: number, width: number): Camera {
  const shift = (dx / width) * (camera.right - camera.left);
  return {
    left: fraction(camera.left + shift),
    right: fraction(camera.right + shift),
    top: px(camera.top + dy),
  };
}

/** The same view of another tree: it keeps its position relative to the zoomed frame. */
export function rebased(camera: Camera, before: Edges, after: Edges): Camera {
  const width = before.right - before.left;
  if (!(width > 0)) return { ...after, top: camera.top };
  const map = (x: number): Fraction =>
    fraction(after.left + ((x - before.left) / width) * (after.right - after.left));
  return { left: map(camera.left), right: map(camera.right), top: camera.top };
}

export interface Edges {
  left: Fraction;
  right: Fraction;
}

export function interpolate(a: Camera, b: Camera, t: number): Camera {
  const e = 1 - (1 - t) ** 3;
  const mix = (x: number, y: number): number => x + (y - x) * e;
  return {
    left: fraction(mix(a.left, b.left)),
    right: fraction(mix(a.right, b.right)),
    top: px(mix(a.top, b.top)),
  };
}
