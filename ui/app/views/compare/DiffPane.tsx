import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { diffColours } from '../../logic/compare/colour';
import { changeText, deltaText, valueText } from '../../logic/compare/words';
import { isFolded, lastOfRun, runText } from '../../logic/fold';
import { counted } from '../../logic/format';
import { cutName } from '../../logic/names';
import { ROOT } from '../../logic/units';
import { Flame, type Spot } from '../../render/flame';
import { comparison, focusNode, shown, zoomNode } from '../../state/compare';
import type { Compared } from '../../worker/protocol';
import { usePlaced } from '../placed';
import { connect } from './graphactions';

export const pointed = signal<{ spot: Spot; x: number; y: number } | null>(null);
const announcement = signal('');
const NAME_MAX = 400;

/** The flame graph of the difference: widths are means of both sides, colours changes. */
export function DiffPane() {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => mount(host.current!), []);
  const { loading, data } = comparison.state.value;
  return (
    <section class="flame-pane" aria-label="Flame graph of the difference" aria-busy={loading}>
      <div class="flame-host" ref={host} />
      <p class="visually-hidden" aria-live="polite" id="focused-frame">{announcement.value}</p>
      {data === null && loading && <p class="curtain">Loading the comparison…</p>}
      <div class={loading ? 'progress on' : 'progress'} />
      <DiffTooltip />
    </section>
  );
}

const noteOf = ({ sides }: Compared) => (node: number): string => changeText(sides.now[node], sides.base[node]);

function mount(host: HTMLElement): () => void {
  const flame = new Flame(host);
  const { canvas } = flame;
  const disconnect = connect(host, flame, {
    tree: () => shown.peek()?.tree ?? null,
    home: () => zoomNode.peek(),
    hover: (spot, x, y) => { pointed.value = spot && { spot, x, y }; },
  });
  let last: Compared | null = null;
  let zoomed = ROOT;
  const stops = [
    effect(() => {
      const loaded = shown.value;
      const zoom = zoomNode.value;
      if (loaded === null) return;
      if (loaded !== last) {
        focusNode.value = null;
        pointed.value = null;
        flame.setScene({ tree: loaded.tree, frames: loaded.frames, colours: diffColours(loaded.sides), note: noteOf(loaded) }, zoom, null);
        host.dataset.nodes = String(loaded.tree.n);
        canvas.setAttribute('aria-label', `Difference in ${counted(loaded.tree.n, 'frame')}. Arrow keys select a frame, Enter zooms in, Escape zooms out.`);
      } else if (zoom !== zoomed) flame.zoomTo(zoom);
      last = loaded;
      zoomed = zoom;
    }),
    effect(() => {
      const node = focusNode.value;
      flame.setFocus(node);
      const loaded = shown.peek();
      if (loaded === null || node === null) return;
      announcement.value = `${describe(loaded, node)}, ${sentence(loaded, node)}, depth ${loaded.tree.depth[node]}`;
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    disconnect();
    pointed.value = null;
  };
}

function describe({ tree, frames }: Compared, node: number): string {
  const name = frames.names[tree.frame[node]];
  return isFolded(tree, node) ? `${runText(tree, frames, node)}, folded, from ${name} to ${frames.names[tree.frame[lastOfRun(tree, node)]]}` : cutName(name, NAME_MAX);
}

export function sentence({ sides, scale, raw }: Compared, node: number): string {
  const [a, b] = [sides.now[node], sides.base[node]];
  return `${valueText(a, scale, raw)}, base ${valueText(b, scale, raw)}, ${deltaText(a, b, scale, raw)} ${changeText(a, b)}`;
}

export function DiffTooltip() {
  const at = pointed.value;
  const box = usePlaced(at);
  const loaded = shown.value;
  if (at === null || loaded === null || at.spot.node >= loaded.tree.n) return null;
  const { tree, sides, scale, raw } = loaded;
  const { node, hidden } = at.spot;
  if (hidden) {
    return <div class="tooltip" role="tooltip" ref={box}><strong>Frames that are not drawn</strong><p class="where">They are too small on both sides. Filter or focus to see them.</p></div>;
  }
  const row = (title: string, a: number, b: number) => (
    <><dt>{title}</dt><dd>{valueText(a, scale, raw)}</dd><dd>{valueText(b, scale, raw)}</dd><dd><b>{deltaText(a, b, scale, raw)}</b></dd><dd>{changeText(a, b)}</dd></>
  );
  return (
    <div class="tooltip diff-tooltip" role="tooltip" ref={box}>
      <strong><bdi>{describe(loaded, node)}</bdi></strong>
      <dl>
        <dt /><dd class="quiet">compared</dd><dd class="quiet">base</dd><dd class="quiet">difference</dd><dd />
        {row('total', sides.now[node], sides.base[node])}
        {!isFolded(tree, node) && row('self', sides.nowSelf[node], sides.baseSelf[node])}
      </dl>
      {isFolded(tree, node) && <p class="where">Click to unfold.</p>}
    </div>
  );
}
