import type { Signal } from '@preact/signals';
import { Fragment } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { FrameKind } from '../logic/decode';
import { isFolded, runText } from '../logic/fold';
import { formatCount, formatShare, formatValue } from '../logic/format';
import { packageOf } from '../logic/packages';
import { ROOT } from '../logic/units';
import { hiddenText } from '../render/paint';
import type { Spot } from '../render/flame';
import { shown } from '../state/data';
import { MOST_NODES, maxNodes } from '../state/explore';
import { found, zoomNode } from '../state/viewing';

export interface Pointed {
  spot: Spot;
  x: number;
  y: number;
}

export function Tooltip({ pointed }: { pointed: Signal<Pointed | null> }) {
  const box = useRef<HTMLDivElement>(null);
  const at = pointed.value;
  useLayoutEffect(() => {
    const div = box.current;
    if (!div || !at) return;
    const { offsetWidth: w, offsetHeight: h } = div;
    const x = at.x + 14 + w > innerWidth ? Math.max(4, at.x - w - 10) : at.x + 14;
    const y = at.y + 18 + h > innerHeight ? Math.max(4, at.y - h - 10) : at.y + 18;
    div.style.transform = `translate(${x}px, ${y}px)`;
  });
  const loaded = shown.value;
  if (at === null || loaded === null || at.spot.node >= loaded.tree.n) return null;
  return (
    <div class="tooltip" role="tooltip" ref={box}>
      {at.spot.hidden ? <Hidden spot={at.spot} /> : isFolded(loaded.tree, at.spot.node) ? <Run spot={at.spot} /> : <Frame spot={at.spot} />}
    </div>
  );
}

function Hidden({ spot }: { spot: Spot }) {
  const { tree, frames, meta } = shown.value!;
  return (
    <>
      <strong>{hiddenText(tree, spot.node)}</strong>
      <p class="where">called by {frames.names[tree.frame[spot.node]]}</p>
      <dl><dt>together</dt><dd>{formatValue(tree.hidden[spot.node], meta.unit)}</dd></dl>
      <p class="where">
        {maxNodes.value < MOST_NODES
          ? 'Click to load more frames.'
          : 'The server gives no more frames at once; a filter or a shorter range shows them.'}
      </p>
    </>
  );
}

/** So many frames at either end of a run are listed. */
const ENDS = 4;

function Run({ spot: { node } }: { spot: Spot }) {
  const { tree, frames, meta } = shown.value!;
  const length = tree.run[node];
  const result = found.value?.of === tree ? found.value.result : null;
  const matching = result === null ? null : result.before[node + length] - result.before[node];
  const all = Array.from({ length }, (_, i) => ({ at: i, name: frames.names[tree.frame[node + i]] }));
  const listed = length <= 2 * ENDS + 1 ? [all] : [all.slice(0, ENDS), all.slice(-ENDS)];
  return (
    <>
      <strong>{runText(tree, frames, node, 8)}</strong>
      <ol class="run">
        {listed.map((part, i) => (
          <Fragment key={i}>
            {i > 0 && <li class="gap">… {formatCount(length - 2 * ENDS)} more</li>}
            {part.map(({ at, name }) => <li key={at}>{name}</li>)}
          </Fragment>
        ))}
      </ol>
      <dl>
        <dt>total</dt><dd>{formatValue(tree.sum[node], meta.unit)} <b>{formatShare(tree.sum[node], tree.sum[0])}</b> of all</dd>
        {matching !== null && <><dt>search</dt><dd>{matching === 0 ? 'none of them matches' : `${formatCount(matching)} of them ${matching === 1 ? 'matches' : 'match'}`}</dd></>}
      </dl>
      <p class="where">None has a value of its own or a branch. Click to unfold.</p>
    </>
  );
}

function Frame({ spot }: { spot: Spot }) {
  const { tree, frames, meta } = shown.value!;
  const { node } = spot;
  const f = tree.frame[node];
  const zoom = zoomNode.value;
  const inZoom = node >= zoom && node < tree.end[zoom];
  const hit = found.value?.of === tree ? found.value.result.hit[f] === 1 : null;
  const file = frames.files[f];
  const line = frames.lines[f];
  const home = frames.kinds[f] === FrameKind.Function ? packageOf(frames.names[f], file) : '';
  const sum = tree.sum[node];
  return (
    <>
      <strong>{frames.names[f]}</strong>
      {file !== '' && <p class="where">{file}{line > 0 && `:${line}`}</p>}
      {frames.kinds[f] === FrameKind.Cut && <p class="where">The stack is deeper than the limit; its callers end here.</p>}
      <dl>
        <dt>total</dt><dd>{formatValue(sum, meta.unit)} <b>{formatShare(sum, tree.sum[0])}</b> of all</dd>
        {zoom !== ROOT && inZoom && <><dt /><dd><b>{formatShare(sum, tree.sum[zoom])}</b> of the zoom</dd></>}
        <dt>self</dt><dd>{formatValue(tree.self[node], meta.unit)} <b>{formatShare(tree.self[node], tree.sum[0])}</b> of all</dd>
        {tree.hidden[node] > 0 && <><dt>not drawn</dt><dd>{formatValue(tree.hidden[node], meta.unit)}</dd></>}
        {home !== '' && <><dt>package</dt><dd>{home}</dd></>}
        {tree.run[node] > 0 && <><dt>run</dt><dd>first of {formatCount(tree.run[node])} frames; click to fold them</dd></>}
        {hit !== null && <><dt>search</dt><dd>{hit ? 'matches' : 'does not match'}</dd></>}
      </dl>
    </>
  );
}
