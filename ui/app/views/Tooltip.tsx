import type { Signal } from '@preact/signals';
import { Fragment } from 'preact';
import { FrameKind } from '../logic/decode';
import { isFolded, runText } from '../logic/fold';
import { counted, formatCount, formatShare, formatValue } from '../logic/format';
import { cutName } from '../logic/names';
import { packageOf } from '../logic/packages';
import { ROOT } from '../logic/units';
import { hiddenText } from '../render/paint';
import type { Spot } from '../render/flame';
import { shown } from '../state/queries';
import { NODES_MAX, maxNodes } from '../state/explore';
import { found } from '../state/search';
import { zoomNode } from '../state/zoom';
import { usePlaced } from './placed';

/** A name can have 64 KiB. */
const NAME_MAX = 400;

export interface Pointed {
  spot: Spot;
  x: number;
  y: number;
}

export function Tooltip({ pointed }: { pointed: Signal<Pointed | null> }) {
  const at = pointed.value;
  const box = usePlaced(at);
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
      <p class="where">called by <bdi>{cutName(frames.names[tree.frame[spot.node]], NAME_MAX)}</bdi></p>
      <dl><dt>total</dt><dd>{formatValue(tree.hidden[spot.node], meta.unit)}</dd></dl>
      <p class="where">
        {maxNodes.value < NODES_MAX
          ? 'Click to load more frames.'
          : 'This is the maximum number of frames. Filter or shorten the range to see more.'}
      </p>
    </>
  );
}

/** The number of frames listed at either end of a long run. */
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
            {part.map(({ at, name }) => <li key={at}><bdi>{cutName(name, NAME_MAX)}</bdi></li>)}
          </Fragment>
        ))}
      </ol>
      <dl>
        <dt>total</dt><dd>{formatValue(tree.sum[node], meta.unit)} <b>{formatShare(tree.sum[node], tree.sum[0])}</b> of total</dd>
        {matching !== null && <><dt>search</dt><dd>{matching === 0 ? 'no matches' : counted(matching, 'match', 'matches')}</dd></>}
      </dl>
      <p class="where">These frames have no self value and no branches. Click to unfold.</p>
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
  const pkg = frames.kinds[f] === FrameKind.Function ? packageOf(frames.names[f], file) : '';
  const sum = tree.sum[node];
  return (
    <>
      <strong><bdi>{cutName(frames.names[f], NAME_MAX)}</bdi></strong>
      {file !== '' && <p class="where"><bdi>{cutName(file, NAME_MAX)}{line > 0 && `:${line}`}</bdi></p>}
      {frames.kinds[f] === FrameKind.Cut && <p class="where">The stack was truncated here: it is deeper than the limit.</p>}
      <dl>
        <dt>total</dt><dd>{formatValue(sum, meta.unit)} <b>{formatShare(sum, tree.sum[0])}</b> of total</dd>
        {zoom !== ROOT && inZoom && <><dt /><dd><b>{formatShare(sum, tree.sum[zoom])}</b> of the zoomed frame</dd></>}
        <dt>{node === ROOT ? 'without a stack' : 'self'}</dt><dd>{formatValue(tree.self[node], meta.unit)} <b>{formatShare(tree.self[node], tree.sum[0])}</b> of total</dd>
        {tree.hidden[node] > 0 && <><dt>not drawn</dt><dd>{formatValue(tree.hidden[node], meta.unit)}</dd></>}
        {pkg !== '' && <><dt>package</dt><dd><bdi>{cutName(pkg, 100)}</bdi></dd></>}
        {tree.run[node] > 0 && <><dt>run</dt><dd>first of {counted(tree.run[node], 'frame')}; click to fold them</dd></>}
        {hit !== null && <><dt>search</dt><dd>{hit ? 'matches' : 'does not match'}</dd></>}
      </dl>
    </>
  );
}
