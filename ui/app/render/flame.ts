// The flame graph on the screen: one canvas of the size of its host element, and two boxes on top of
// it for the frame under the pointer and the frame with the keyboard focus.

import type { Frames } from '../logic/decode';
import { lastOfRun } from '../logic/fold';
import { nodeAt } from '../logic/hittest';
import { type Tree, hiddenStart } from '../logic/layout';
import { type NodeId, ROOT, fraction, nodeId, px } from '../logic/units';
import type { Growth } from '../logic/urlstate';
import { type Camera, WHOLE, interpolate, rebased, clamp, edges, panBy, zoomAbout } from './camera';
import { ROW, type Skin, type Texts, paint } from './paint';
import { type Match, Plan } from './plan';

export interface Scene extends Texts {
  tree: Tree;
  frames: Frames;
  colours: Uint8Array;
}

/** A frame, or the undrawn children of one. */
export interface Spot {
  node: NodeId;
  hidden: boolean;
}

export interface DrawStats {
  ms: number;
  visited: number;
  drawn: number;
}

const ZOOM_MS = 140;
/** The minimum width of a match that a search brings into view, in CSS pixels. */
const MATCH_WIDTH_MIN = 60;

export class Flame {
  readonly canvas = document.createElement('canvas');
  onDraw: ((stats: DrawStats) => void) | null = null;

  private readonly ctx = this.canvas.getContext('2d', { alpha: false })!;
  private readonly hoverBox = box('hover');
  private readonly focusBox = box('focus');
  private readonly plan = new Plan();
  private readonly observer = new ResizeObserver(() => this.resize());
  private scene: Scene | null = null;
  private match: Match | null = null;
  private skin: Skin | null = null;
  private growth: Growth = 'down';
  private camera: Camera = WHOLE;
  private zoomed: NodeId = ROOT;
  private hovered: Spot | null = null;
  private focused: NodeId | null = null;
  private width = 0;
  private height = 0;
  private dpr = 1;
  private scheduled = 0;
  private flight: { from: Camera; to: Camera; began: number } | null = null;

  /** What is printed is what is drawn when the event ends. */
  private readonly printed = (): void => this.draw();

  constructor(private readonly host: HTMLElement) {
    host.append(this.canvas, this.hoverBox, this.focusBox);
    this.observer.observe(host);
    addEventListener('beforeprint', this.printed);
    this.resize();
  }

  dispose(): void {
    this.observer.disconnect();
    removeEventListener('beforeprint', this.printed);
    cancelAnimationFrame(this.scheduled);
    this.canvas.remove();
    this.hoverBox.remove();
    this.focusBox.remove();
  }

  /** Shows another tree; the view keeps its position relative to the zoomed frame. */
  setScene(scene: Scene, zoomed: NodeId, focused: NodeId | null): void {
    const before = this.scene ? edges(this.scene.tree, this.zoomed) : null;
    const from = this.target();
    this.scene = scene;
    this.zoomed = zoomed;
    this.focused = focused;
    this.hovered = null;
    // Matches refer to nodes of the previous tree.
    this.match = null;
    this.flight = null;
    this.camera = before
      ? clamp(rebased(from, before, edges(scene.tree, zoomed)), this.contentHeight(), this.height)
      : this.home(zoomed);
    // The first one is not made to wait for the next frame of the display.
    if (before === null) this.draw();
    else this.schedule();
  }

  setColours(colours: Uint8Array): void {
    if (this.scene) this.scene = { ...this.scene, colours };
    this.schedule();
  }

  setMatch(match: Match | null): void {
    if (match === this.match) return;
    this.match = match;
    this.schedule();
  }

  setSkin(skin: Skin): void {
    if (skin === this.skin) return;
    this.skin = skin;
    this.schedule();
  }

  setGrowth(growth: Growth): void {
    if (growth === this.growth) return;
    this.growth = growth;
    this.schedule();
  }

  setHover(spot: Spot | null): void {
    if (spot?.node === this.hovered?.node && spot?.hidden === this.hovered?.hidden) return;
    this.hovered = spot;
    this.updateBoxes();
  }

  setFocus(node: NodeId | null): void {
    this.focused = node;
    if (node !== null) this.reveal(node);
    this.updateBoxes();
  }

  /** Makes a frame fill the width of the view. */
  zoomTo(node: NodeId): void {
    if (!this.scene) return;
    this.zoomed = node;
    this.flyTo(this.home(node));
  }

  zoomBy(factor: number, at = 0.5): void {
    this.moveTo(zoomAbout(this.target(), factor, at));
  }

  pan(dx: number, dy: number): void {
    this.moveTo(panBy(this.target(), dx, this.growth === 'down' ? dy : -dy, this.width));
  }

  /** Whether the view shows exactly the zoomed frame. */
  get settled(): boolean {
    if (!this.scene) return true;
    const home = edges(this.scene.tree, this.zoomed);
    const c = this.target();
    return Math.abs(c.left - home.left) < 1e-12 && Math.abs(c.right - home.right) < 1e-12;
  }

  /** The frame at a point, in CSS pixels from the canvas's top left corner. */
  spotAt(x: number, y: number): Spot | null {
    if (!this.scene || x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const { tree } = this.scene;
    const fromRoot = (this.growth === 'down' ? y : this.height - 1 - y) + this.camera.top;
    const row = Math.floor(fromRoot / ROW);
    const share = this.camera.left + (x / this.width) * (this.camera.right - this.camera.left);
    const value = share * tree.sum[0];
    const node = nodeAt(tree, row, value);
    if (node !== null) return { node, hidden: false };
    const above = nodeAt(tree, row - 1, value);
    if (above === null) return null;
    const last = lastOfRun(tree, above);
    const from = hiddenStart(tree, last);
    return value >= from && value < from + tree.hidden[last] ? { node: last, hidden: true } : null;
  }

  /** The position of a frame on the canvas, in CSS pixels; null if it is out of view. */
  boxOf(spot: Spot): { x: number; y: number; w: number; h: number } | null {
    if (!this.scene) return null;
    const { tree } = this.scene;
    const scale = this.width / ((this.camera.right - this.camera.left) * (tree.sum[0] || 1));
    const origin = this.camera.left * tree.sum[0];
    const from = spot.hidden ? hiddenStart(tree, spot.node) : tree.start[spot.node];
    const wide = spot.hidden ? tree.hidden[spot.node] : tree.sum[spot.node];
    const left = Math.max(0, (from - origin) * scale);
    const right = Math.min(this.width, (from + wide - origin) * scale);
    const y = this.rowTop(tree.row[spot.node] + (spot.hidden ? 1 : 0));
    if (right <= left || y <= -ROW || y >= this.height) return null;
    return { x: left, y, w: Math.max(1, right - left), h: ROW - 1 };
  }

  private home(node: NodeId): Camera {
    const { tree } = this.scene!;
    // Two rows of callers remain visible above the zoomed frame if the graph does not fit.
    const top = Math.max(0, (tree.row[node] - 2) * ROW);
    const fits = this.contentHeight() <= this.height;
    return clamp({ ...edges(tree, node), top: px(fits ? 0 : top) }, this.contentHeight(), this.height);
  }

  private target(): Camera {
    return this.flight?.to ?? this.camera;
  }

  private reveal(node: NodeId): void {
    if (!this.scene) return;
    const { tree } = this.scene;
    const at = edges(tree, node);
    let c = this.target();
    const row = tree.row[node] * ROW;
    if (row < c.top) c = { ...c, top: px(row) };
    if (row + ROW > c.top + this.height) c = { ...c, top: px(row + ROW - this.height) };
    if (at.right <= c.left || at.left >= c.right) {
      const width = c.right - c.left;
      const middle = (at.left + at.right) / 2;
      c = { ...c, left: (middle - width / 2) as typeof c.left, right: (middle + width / 2) as typeof c.right };
    }
    if (c !== this.target()) this.moveTo(c);
  }

  /** Brings a frame into view with its surroundings, wide enough to be read. */
  bringIntoView(node: NodeId): void {
    if (!this.scene) return;
    const { tree } = this.scene;
    const { left, right } = edges(tree, node);
    let c = this.target();
    const row = tree.row[node] * ROW;
    const margin = 2 * ROW;
    if (row < c.top + margin || row + ROW + margin > c.top + this.height) c = { ...c, top: px(row - this.height * 0.4) };
    const width = c.right - c.left;
    const drawn = ((Math.min(right, c.right) - Math.max(left, c.left)) / width) * this.width;
    if (drawn < MATCH_WIDTH_MIN) {
      const wide = Math.min(width, ((right - left) * this.width) / MATCH_WIDTH_MIN);
      const middle = (left + right) / 2;
      c = { ...c, left: fraction(middle - wide / 2), right: fraction(middle + wide / 2) };
    }
    if (c !== this.target()) this.flyTo(clamp(c, this.contentHeight(), this.height));
  }

  private moveTo(camera: Camera): void {
    this.flight = null;
    this.camera = clamp(camera, this.contentHeight(), this.height);
    this.schedule();
  }

  private flyTo(camera: Camera): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.moveTo(camera);
      return;
    }
    this.flight = { from: this.camera, to: camera, began: performance.now() };
    this.schedule();
  }

  private contentHeight(): number {
    return this.scene ? (this.scene.tree.maxRow + 2) * ROW : 0;
  }

  private rowTop(row: number): number {
    const fromRoot = row * ROW - this.camera.top;
    return this.growth === 'down' ? fromRoot : this.height - ROW - fromRoot;
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.host;
    const dpr = window.devicePixelRatio || 1;
    if (clientWidth === this.width && clientHeight === this.height && dpr === this.dpr) return;
    this.width = clientWidth;
    this.height = clientHeight;
    this.dpr = dpr;
    this.canvas.width = Math.max(1, Math.round(clientWidth * dpr));
    this.canvas.height = Math.max(1, Math.round(clientHeight * dpr));
    this.camera = clamp(this.camera, this.contentHeight(), this.height);
    // Resizing clears the canvas: drawing it immediately avoids a flash.
    this.draw();
  }

  private schedule(): void {
    if (this.scheduled === 0) this.scheduled = requestAnimationFrame((now) => this.step(now));
  }

  private step(now: number): void {
    this.scheduled = 0;
    if (this.flight) {
      const t = Math.min(1, Math.max(0, (now - this.flight.began) / ZOOM_MS));
      this.camera = t >= 1 ? this.flight.to : interpolate(this.flight.from, this.flight.to, t);
      if (t >= 1) this.flight = null;
      else this.schedule();
    }
    this.draw();
  }

  private draw(): void {
    if (!this.skin || this.width === 0 || this.height === 0) return;
    if (!this.scene) {
      this.ctx.fillStyle = this.skin.background;
      this.ctx.fillRect(0, 0, this.canvas.width, this.canvas.height);
      return;
    }
    const began = performance.now();
    this.paintOn(this.ctx, this.canvas.width, this.canvas.height, this.dpr);
    this.updateBoxes();
    this.onDraw?.({
      ms: performance.now() - began,
      visited: this.plan.visited,
      drawn: this.plan.rects.length,
    });
  }

  /** Paints what is in view on a context. */
  paintOn(ctx: CanvasRenderingContext2D, width: number, height: number, dpr: number): void {
    if (!this.scene || !this.skin) return;
    const { tree, frames, colours, ...texts } = this.scene;
    const total = tree.sum[0];
    this.plan.build(tree, colours, this.match, {
      from: this.camera.left * total,
      until: this.camera.right * total,
      firstRow: Math.floor(this.camera.top / ROW),
      lastRow: Math.ceil((this.camera.top + this.height) / ROW),
      width,
    });
    paint(this.plan, tree, frames, this.skin, {
      ctx,
      width,
      height,
      dpr,
      rowTop: (row) => Math.round(this.rowTop(row) * dpr),
    }, texts);
  }

  /** The size of the view in CSS pixels. */
  get size(): { width: number; height: number } {
    return { width: this.width, height: this.height };
  }

  private updateBoxes(): void {
    setBox(this.hoverBox, this.hovered && this.boxOf(this.hovered));
    setBox(this.focusBox, this.focused === null ? null : this.boxOf({ node: nodeId(this.focused), hidden: false }));
  }
}

function box(kind: string): HTMLDivElement {
  const div = document.createElement('div');
  div.className = `flame-box flame-box-${kind}`;
  div.hidden = true;
  return div;
}

function setBox(div: HTMLDivElement, at: { x: number; y: number; w: number; h: number } | null): void {
  div.hidden = at === null;
  if (at === null) return;
  div.style.transform = `translate(${at.x}px, ${at.y}px)`;
  div.style.width = `${at.w}px`;
  div.style.height = `${at.h}px`;
}
