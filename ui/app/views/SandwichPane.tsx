import '../style/sandwich.css';
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { colourNodes } from '../logic/colours';
import { counted, formatShare, formatValue } from '../logic/format';
import { cutName } from '../logic/names';
import { neighbour } from '../logic/neighbours';
import { ROOT } from '../logic/units';
import type { Growth } from '../logic/urlstate';
import { Flame } from '../render/flame';
import { attach } from '../render/input';
import { skinOf, theme } from '../render/skin';
import { shown } from '../state/queries';
import { state } from '../state/explore';
import { functionOf, sandwich, sandwichOf } from '../state/transforms';
import { focusNode } from '../state/zoom';
import type { Around, Loaded } from '../worker/protocol';
import { FunctionDetails } from './FunctionDetails';
import { openMenu } from '../state/framemenu';

const hint = signal('');

/** The merged callers of a function above it, and its merged callees below. */
export function SandwichPane() {
  const loaded = shown.value;
  const { fn } = state.value;
  const found = sandwich.value;
  if (loaded === null) return <section class="sandwich"><p class="hint pad">Loading the profile…</p></section>;
  if (fn === '') {
    const focused = functionOf(focusNode.value);
    return (
      <section class="sandwich" aria-label="Callers and callees">
        <div class="hint pad">
          <p>Choose a function in the table to see who calls it and what it calls.</p>
          {focused !== '' && <button type="button" onClick={() => sandwichOf(focused)}>{cutName(focused, 80)}</button>}
        </div>
      </section>
    );
  }
  if (found === null || found.of !== loaded) return <section class="sandwich" aria-busy="true"><p class="hint pad">Computing callers and callees…</p></section>;
  if (found.laid === null) {
    return <section class="sandwich" aria-label="Callers and callees"><p class="hint pad">{cutName(fn, 200)} is not among the drawn frames of this profile. Choose another function in the table, or filter so that it is larger.</p></section>;
  }
  const { laid } = found;
  return (
    <section class="sandwich" aria-busy={found.partly} aria-label={`Callers and callees of ${cutName(laid.name, 100)}`}>
      <Graph title="Callers" of={laid.callers} loaded={loaded} growth="up" />
      <FunctionDetails laid={laid} loaded={loaded} />
      <Graph title="Callees" of={laid.callees} loaded={loaded} growth="down" />
      {found.problem !== '' && <p class="notice partial" role="status"><span>These are the callers and callees among the drawn frames: {found.problem}</span></p>}
      <p class="visually-hidden" aria-live="polite" id="sandwich-frame">{hint.value}</p>
    </section>
  );
}

/** The names of the frames from the root to a node. */
function pathOf({ tree, frames }: Around, node: number): string[] {
  const path: string[] = [];
  for (let at = node; at !== 0; at = tree.parent[at]) path.unshift(frames.names[tree.frame[at]]);
  return [frames.names[tree.frame[0]], ...path];
}

/** The node with this path, or the last one on the way there; the root if that is another function. */
function nodeOf({ tree, frames }: Around, path: string[]): number {
  const nameOf = (node: number): string => frames.names[tree.frame[node]];
  let at = 0;
  if (nameOf(0) !== path[0]) return at;
  for (const name of path.slice(1)) {
    let child = at + 1;
    while (child < tree.end[at] && nameOf(child) !== name) child = tree.end[child];
    if (child >= tree.end[at]) break;
    at = child;
  }
  return at;
}

function Graph({ title, of, loaded, growth }: { title: string; of: Around; loaded: Loaded; growth: Growth }) {
  const { tree, frames } = of;
  const host = useRef<HTMLDivElement>(null);
  // The graph of the drawn frames is replaced by that of the whole profile, in which the keyboard stays where it is.
  const place = useRef<{ path: string[]; isFocused: boolean } | null>(null);
  const none = tree.n === 1;
  useEffect(() => {
    if (none) return;
    const flame = new Flame(host.current!);
    const { meta } = loaded;
    let at = place.current === null ? 0 : nodeOf(of, place.current.path);
    const nameOf = (node: number): string => frames.names[tree.frame[node]];
    const text = (node: number): string => `${cutName(nameOf(node), 300)}: ${formatValue(tree.sum[node], meta.unit)}, ${formatShare(tree.sum[node], tree.sum[0])} of the function`;
    const { canvas } = flame;
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', `${title} in ${counted(tree.n, 'frame')}. Arrow keys select a frame, Enter shows its callers and callees.`);
    const show = (node: number): void => {
      if (frames.kinds[tree.frame[node]] === 0) sandwichOf(nameOf(node));
    };
    flame.setSkin(skinOf(theme.peek()));
    flame.setGrowth(growth);
    flame.setScene({ tree, frames, colours: colourNodes(tree, frames, 'package') }, ROOT, null);
    const stop = attach(flame, {
      hover: (spot) => { canvas.title = spot === null ? '' : spot.hidden ? 'Frames that are not drawn' : text(spot.node); },
      click: (spot) => { if (!spot.hidden) show(spot.node); },
      walk: (direction) => {
        at = neighbour(tree, at as never, direction);
        flame.setFocus(at as never);
        hint.value = `${title}: ${text(at)}`;
      },
      enter: () => show(at),
      out: () => flame.zoomTo(ROOT),
      reset: () => flame.zoomTo(ROOT),
      growth: () => growth,
      menu: (spot, x, y) => openMenu(spot === null || spot.hidden ? '' : nameOf(spot.node), x, y),
      focused: () => ({ node: at as never, hidden: false }),
      command: () => false,
    });
    if (at !== 0) flame.setFocus(at as never);
    if (place.current?.isFocused) canvas.focus();
    return () => {
      place.current = { path: pathOf(of, at), isFocused: document.activeElement === canvas };
      stop();
      flame.dispose();
    };
  }, [tree, loaded, theme.value]);
  return (
    <div class={`sandwich-part sandwich-${growth}`}>
      <h3>{title}</h3>
      {none ? <p class="hint pad">{growth === 'up' ? 'No callers: it is called by the root.' : 'No callees: all of its value is its own.'}</p> : <div class="flame-host" ref={host} />}
    </div>
  );
}

