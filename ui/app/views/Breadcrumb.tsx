import { useEffect, useRef } from 'preact/hooks';
import { isFolded } from '../logic/fold';
import { counted, formatShare, formatValue } from '../logic/format';
import { ROOT } from '../logic/units';
import { cutName, shorten } from '../logic/names';
import { ancestors } from '../logic/zoompath';
import { shown } from '../state/queries';
import { zoomNode, zoomTo } from '../state/zoom';

/** The callers of the zoomed frame; a click zooms out to one of them. */
export function Breadcrumb() {
  const end = useRef<HTMLDivElement>(null);
  const loaded = shown.value;
  const node = zoomNode.value;
  useEffect(() => {
    if (end.current) end.current.scrollLeft = end.current.scrollWidth;
  }, [node, loaded]);
  if (loaded === null) return <nav class="crumbs" />;
  const { tree, frames, meta } = loaded;
  return (
    <nav class="crumbs" aria-label="Zoom">
      <div class="trail" ref={end}>
        {ancestors(tree, node).filter((n) => tree.span[n] > 0).map((n, i, all) => (
          <span key={n}>
            {i > 0 && <i aria-hidden="true">›</i>}
            <button
              type="button"
              title={cutName(frames.names[tree.frame[n]], 1_000)}
              aria-current={i === all.length - 1 ? 'true' : undefined}
              onClick={() => zoomTo(n)}
            >
              {n === ROOT ? 'total' : isFolded(tree, n) ? `▸ ${counted(tree.span[n], 'frame')}` : shorten(frames.names[tree.frame[n]], i === all.length - 1 ? 60 : 28)}
            </button>
          </span>
        ))}
      </div>
      <span class="share">
        {formatValue(tree.sum[node], meta.unit)}
        {node !== ROOT && <> · {formatShare(tree.sum[node], tree.sum[0])} of total</>}
      </span>
      {node !== ROOT && <button type="button" class="ghost" id="reset-zoom" title="Show the whole profile (Home)" onClick={() => zoomTo(ROOT)}>Reset zoom</button>}
    </nav>
  );
}
