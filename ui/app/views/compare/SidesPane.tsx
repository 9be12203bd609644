import '../../style/sides.css';
import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { diffColours } from '../../logic/compare/colour';
import { type SideName, onSide, sideTree } from '../../logic/compare/sides';
import { valueText } from '../../logic/compare/words';
import { formatRange } from '../../logic/format';
import { ROOT, nodeId } from '../../logic/units';
import { Flame } from '../../render/flame';
import { comparison, focusNode, shown, zoomNode } from '../../state/compare';
import type { Compared } from '../../worker/protocol';
import { DiffTooltip, pointed, sentence } from './DiffPane';
import { connect } from './graphactions';

/** The node under the pointer in either pane. */
const hovered = signal<number | null>(null);
const announcement = signal('');

const SIDES: { side: SideName; title: string }[] = [{ side: 'now', title: 'Compared' }, { side: 'base', title: 'Base' }];

/** Both sides as flame graphs next to each other, linked by call path. Each fills its width. */
export function SidesPane() {
  return (
    <section class="sides-pane" aria-label="Flame graphs of both sides" aria-busy={comparison.state.value.loading}>
      {SIDES.map(({ side, title }) => <Side key={side} side={side} title={title} />)}
      <p class="visually-hidden" aria-live="polite" id="focused-frame">{announcement.value}</p>
      <DiffTooltip />
    </section>
  );
}

function Side({ side, title }: { side: SideName; title: string }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => mount(host.current!, side, title), []);
  const loaded = shown.value;
  return (
    <div class="side-graph">
      <h2>
        {title}
        {loaded !== null && <span class="quiet"> {valueText(loaded.sides[side][0], loaded.scale, loaded.raw)} · {loaded.raw[side].file !== '' ? <bdi>{loaded.raw[side].file}</bdi> : <>{formatRange(loaded.raw[side], Date.now())} · <bdi>{loaded.raw[side].selector}</bdi></>}</span>}
      </h2>
      <div class="flame-host" id={`flame-${side}`} ref={host} />
      {loaded !== null && loaded.sides[side][zoomNode.value] === 0 && <p class="hint pad" role="status">This side does not have the zoomed frame; its caller is shown.</p>}
    </div>
  );
}

function mount(host: HTMLElement, side: SideName, title: string): () => void {
  const flame = new Flame(host);
  const { canvas } = flame;
  canvas.setAttribute('aria-label', `${title}. Arrow keys select a frame in both flame graphs, Enter zooms in, Escape zooms out.`);
  let last: Compared | null = null;
  let tree: ReturnType<typeof sideTree> | null = null;
  let zoomed = ROOT;
  const home = () => nodeId(tree === null ? ROOT : onSide(tree, zoomNode.peek()));
  const disconnect = connect(host, flame, {
    tree: () => tree,
    home,
    hover: (spot, x, y) => {
      pointed.value = spot && { spot, x, y };
      hovered.value = spot === null || spot.hidden ? null : spot.node;
    },
  });
  const stops = [
    effect(() => {
      const loaded = shown.value;
      const zoom = zoomNode.value;
      if (loaded === null) return;
      if (loaded !== last) {
        focusNode.value = null;
        hovered.value = null;
        tree = sideTree(loaded, side);
        const note = (node: number): string => valueText(loaded.sides[side][node], loaded.scale, loaded.raw);
        flame.setScene({ tree, frames: loaded.frames, colours: diffColours(loaded.sides), note }, nodeId(onSide(tree, zoom)), null);
        host.dataset.nodes = String(loaded.tree.n);
      } else if (zoom !== zoomed) flame.zoomTo(home());
      last = loaded;
      zoomed = zoom;
    }),
    effect(() => {
      const node = hovered.value;
      flame.setHover(node === null ? null : { node: nodeId(node), hidden: false });
      host.dataset.hovered = node === null ? '' : String(node);
    }),
    effect(() => {
      const node = focusNode.value;
      const loaded = shown.peek();
      if (loaded === null) return;
      flame.setFocus(node);
      if (node !== null) announcement.value = `${loaded.frames.names[loaded.tree.frame[node]]}, ${sentence(loaded, node)}`;
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    disconnect();
    pointed.value = null;
    hovered.value = null;
  };
}

