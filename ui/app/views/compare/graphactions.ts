// What the flame graphs of Compare have in common: what pointers and keys do in them.

import { effect } from '@preact/signals';
import type { Tree } from '../../logic/layout';
import { neighbour } from '../../logic/neighbours';
import { type NodeId, ROOT } from '../../logic/units';
import type { Flame, Spot } from '../../render/flame';
import { attach } from '../../render/input';
import { skinOf, theme } from '../../render/skin';
import { focusNode, foldOrUnfold, found, shown, zoomNode, zoomTo } from '../../state/compare';

interface Graph {
  /** The tree that is walked; null while none is shown. */
  tree: () => Tree | null;
  /** The zoomed frame, or what stands for it in this graph. */
  home: () => NodeId;
  hover: (spot: Spot | null, x: number, y: number) => void;
}

/** Connects a graph to the state that all graphs of Compare share; the result disconnects it. */
export function connect(host: HTMLElement, flame: Flame, { tree, home, hover }: Graph): () => void {
  const { canvas } = flame;
  flame.onDraw = ({ drawn }) => { host.dataset.drawn = String(drawn); };
  canvas.tabIndex = 0;
  canvas.setAttribute('role', 'application');
  canvas.setAttribute('aria-describedby', 'focused-frame');
  const stops = [
    effect(() => flame.setSkin(skinOf(theme.value))),
    effect(() => {
      const f = found.value;
      flame.setMatch(f !== null && f.of === shown.value?.tree ? f.result : null);
    }),
    attach(flame, {
      hover,
      click: (spot) => {
        if (spot.hidden || foldOrUnfold(spot.node)) return;
        focusNode.value = spot.node;
        if (spot.node === zoomNode.peek()) flame.zoomTo(spot.node);
        else zoomTo(spot.node);
      },
      walk: (direction) => {
        const walked = tree();
        if (walked !== null) focusNode.value = neighbour(walked, focusNode.peek() ?? home(), direction);
      },
      enter: () => {
        const node = focusNode.peek() ?? ROOT;
        if (!foldOrUnfold(node)) zoomTo(node);
      },
      out: () => {
        const walked = tree();
        if (!flame.settled) flame.zoomTo(home());
        else if (walked !== null && zoomNode.peek() !== ROOT) zoomTo(neighbour(walked, zoomNode.peek(), 'caller'));
      },
      reset: () => {
        zoomTo(ROOT);
        flame.zoomTo(ROOT);
      },
      growth: () => 'down',
    }),
  ];
  const focused = (): void => { focusNode.value ??= zoomNode.peek(); };
  canvas.addEventListener('focus', focused);
  return () => {
    for (const stop of stops) stop();
    flame.dispose();
  };
}
