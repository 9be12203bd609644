import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { colourNodes } from '../logic/colours';
import { isFolded, lastOfRun, runText } from '../logic/fold';
import { counted, formatShare, formatValue } from '../logic/format';
import { type Direction, neighbour } from '../logic/neighbours';
import { type NodeId, ROOT } from '../logic/units';
import { pathOf } from '../logic/zoompath';
import { Flame, type Spot } from '../render/flame';
import { attach } from '../render/input';
import { hiddenText } from '../render/paint';
import { skinOf, theme } from '../render/skin';
import { colouring, flame as fetched, shown } from '../state/queries';
import { NODES_MAX, local, maxNodes, onDrawn, othersMayLoad, pick, state } from '../state/explore';
import { detailing, loadBelow } from '../state/detail';
import { hues } from '../state/timeline';
import { found, revealed } from '../state/search';
import { ACTIONS, functionOf, run, undo } from '../state/transforms';
import { focus, focusNode, focusPath, foldOrUnfoldRun, zoomNode, zoomOut, zoomTo } from '../state/zoom';
import { openMenu } from '../state/framemenu';
import type { Loaded } from '../worker/protocol';
import { drawStats } from './StatusBar';
import { Lazy } from './Lazy';
import type { Pointed } from './Tooltip';

const pointed = signal<Pointed | null>(null);
const announcement = signal('');
let current: Flame | null = null;

// The flame graph is drawn first.
const loadTooltip = () => import('./Tooltip').then(({ Tooltip }) => Tooltip);
const loadSandwich = () => import('./SandwichPane');
const TOOLTIP = { pointed };

export function FlamePane() {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => mount(host.current!), []);
  const { loading, data } = fetched.state.value;
  return (
    <section class="flame-pane" aria-busy={loading}>
      <div class="flame-host" ref={host} />
      <p class="visually-hidden" aria-live="polite" id="focused-frame">{announcement.value}</p>
      {data === null && loading && <p class="curtain">Loading the flame graph…</p>}
      <div class={loading || detailing.value ? 'progress on' : 'progress'} />
      {othersMayLoad.value && <Lazy load={loadTooltip} props={TOOLTIP} isQuiet />}
    </section>
  );
}

/** Connects the canvas, which does not use the framework, to the state. */
function mount(host: HTMLElement): () => void {
  const flame = new Flame(host);
  current = flame;
  flame.onDraw = (stats) => {
    drawStats.value = stats;
    host.dataset.drawn = String(stats.drawn);
    onDrawn();
  };
  const { canvas } = flame;
  canvas.tabIndex = 0;
  canvas.setAttribute('role', 'application');
  canvas.setAttribute('aria-describedby', 'focused-frame');

  const last: Record<'loaded' | 'zoomed' | 'focused' | 'by' | 'hueKey', unknown> = {
    loaded: null, zoomed: ROOT, focused: null, by: null, hueKey: '',
  };
  const stops = [
    effect(() => flame.setSkin(skinOf(theme.value))),
    effect(() => flame.setGrowth(state.value.growth)),
    effect(() => {
      // One effect for everything that changes together: in a new tree the zoomed and the focused
      // frame have new ids, and the old ids belong to other frames.
      const loaded = shown.value;
      const zoomed = zoomNode.value;
      const focused = focusNode.value;
      const by = colouring.value;
      const hueKey = JSON.stringify([...hues.value]);
      if (loaded === null) return;
      if (loaded !== last.loaded) {
        const colours = colourNodes(loaded.tree, loaded.frames, by, hues.value);
        flame.setScene({ tree: loaded.tree, frames: loaded.frames, colours, canLoad: local.peek() === null }, zoomed, focused);
        describe(flame, host, loaded);
        pointed.value = null;
      } else {
        if (by !== last.by || hueKey !== last.hueKey) flame.setColours(colourNodes(loaded.tree, loaded.frames, by, hues.value));
        if (zoomed !== last.zoomed) flame.zoomTo(zoomed);
        if (focused !== last.focused) flame.setFocus(focused);
      }
      Object.assign(last, { loaded, zoomed, focused, by, hueKey });
    }),
    effect(() => {
      const f = found.value;
      flame.setMatch(f !== null && f.of === shown.value?.tree ? f.result : null);
    }),
    effect(() => {
      const look = revealed.value;
      if (look !== null && look.of === shown.peek()?.tree) flame.bringIntoView(look.node);
    }),
    effect(() => {
      const node = focusNode.value;
      const loaded = shown.value;
      if (loaded === null || node === null) return;
      const { tree, meta } = loaded;
      announcement.value = `${describeRow(loaded, node)}, ${formatValue(tree.sum[node], meta.unit)}, ${formatShare(tree.sum[node], tree.sum[0])} of total, depth ${tree.depth[node]}`;
    }),
    attach(flame, {
      hover: (spot, x, y) => { pointed.value = spot && { spot, x, y }; },
      click: (spot) => choose(flame, spot),
      walk,
      enter: () => {
        const node = focusNode.peek() ?? ROOT;
        if (atHidden === node && fetched.state.peek().data !== null) void loadMore(lastOfRun(shown.peek()!.tree, node));
        else if (!foldOrUnfoldRun(node)) zoomTo(node);
        atHidden = null;
      },
      out: () => {
        if (!flame.settled) flame.zoomTo(zoomNode.peek());
        else if (!zoomOut()) {
          if (focusPath.peek() !== null && focusPath.peek()!.length > 0) focus(ROOT);
          else if (state.peek().pick) pick(null);
        }
      },
      reset: () => {
        zoomTo(ROOT);
        flame.zoomTo(ROOT);
      },
      growth: () => state.peek().growth,
      menu: (spot, x, y) => {
        if (spot !== null && !spot.hidden) focus(spot.node);
        pointed.value = null;
        openMenu(spot === null || spot.hidden ? '' : functionOf(spot.node), x, y);
      },
      focused: () => {
        const node = focusNode.peek();
        return node === null ? null : { node, hidden: false };
      },
      command: (key) => {
        if (key === 'u') return undo();
        const name = functionOf(focusNode.peek());
        const action = ACTIONS.find((a) => a.key === key);
        if (action === undefined || (action.ofFunction && name === '')) return false;
        run(action.id, name);
        return true;
      },
    }),
  ];
  const focused = (): void => {
    // What is a key away is loaded before the key.
    void loadSandwich().catch(() => {});
    if (focusPath.peek() === null) focus(zoomNode.peek());
  };
  canvas.addEventListener('focus', focused);
  return () => {
    for (const stop of stops) stop();
    flame.dispose();
    current = null;
    drawStats.value = null;
    pointed.value = null;
  };
}

function describe({ canvas }: Flame, host: HTMLElement, { tree, meta }: Loaded): void {
  host.dataset.nodes = String(tree.n);
  canvas.setAttribute(
    'aria-label',
    `Flame graph of ${formatValue(tree.sum[0], meta.unit)} in ${counted(tree.n, 'frame')}. Arrow keys select a frame, Enter zooms in, Escape zooms out.`,
  );
}

function choose(flame: Flame, spot: Spot): void {
  if (spot.hidden) {
    void loadMore(spot.node);
    return;
  }
  if (foldOrUnfoldRun(spot.node)) return;
  focus(spot.node);
  if (spot.node === zoomNode.peek()) flame.zoomTo(spot.node);
  else zoomTo(spot.node);
}

/** The description of a row for screen readers. */
function describeRow({ tree, frames }: Loaded, node: number): string {
  const name = (n: number): string => frames.names[tree.frame[n]];
  if (isFolded(tree, node)) return `${runText(tree, frames, node)}, folded, from ${name(node)} to ${name(lastOfRun(tree, node))}, press Enter to unfold`;
  return tree.run[node] > 0 ? `${name(node)}, first of ${runText(tree, frames, node)}, press Enter to fold` : name(node);
}

/** Requests the frames below a frame; if these do not fit, more frames of the whole. */
async function loadMore(node: number): Promise<void> {
  const { tree, frames } = shown.peek()!;
  if (await loadBelow(pathOf(tree, frames.names, node as NodeId))) return;
  maxNodes.value = Math.min(NODES_MAX, maxNodes.value * 8);
}

/** The frame below which the arrow keys met undrawn frames; Enter then loads them. */
let atHidden: number | null = null;

function walk(direction: Direction): void {
  atHidden = null;
  const loaded = shown.peek();
  if (loaded === null) return;
  const from = focusNode.peek() ?? zoomNode.peek();
  const to = neighbour(loaded.tree, from, direction);
  focus(to);
  const last = lastOfRun(loaded.tree, from);
  if (direction === 'callee' && to === from && loaded.tree.hidden[last] > 0) {
    announcement.value = `${hiddenText(loaded.tree, last)}. Press Enter to load them.`;
    atHidden = to;
  }
}

/** The flame graph on the screen; null without one. */
export const currentFlame = (): Flame | null => current;

export function savePng(): void {
  current?.canvas.toBlob((blob) => {
    if (blob === null) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = 'flamegraph.png';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
