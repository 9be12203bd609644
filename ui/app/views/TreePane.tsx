import { useEffect, useMemo, useState } from 'preact/hooks';
import { formatShare, formatValue } from '../logic/format';
import { cutName } from '../logic/names';
import { callersOf, hotPath, treeRows } from '../logic/treerows';
import { nodeId } from '../logic/units';
import { hiddenText } from '../render/paint';
import { shown } from '../state/queries';
import { functionOf } from '../state/transforms';
import { focus, focusNode, zoomNode, zoomTo } from '../state/zoom';
import { openMenu } from '../state/framemenu';
import { VirtualRows } from './VirtualRows';

/** The call tree as an outline: the same frames and values as the flame graph, for screen readers and without colours. */
export function TreePane() {
  const loaded = shown.value;
  const root = zoomNode.value;
  const [expanded, setExpanded] = useState<ReadonlySet<number>>(new Set());
  const tree = loaded?.tree;
  useEffect(() => {
    if (tree === undefined) return;
    const focused = focusNode.peek();
    setExpanded(new Set([...hotPath(tree, root), ...(focused === null ? [] : callersOf(tree, focused))]));
  }, [tree, root]);
  const rows = useMemo(() => (tree === undefined || root >= tree.n ? [] : treeRows(tree, expanded, root)), [tree, expanded, root]);
  if (loaded === null || tree === undefined) return <section class="tree-pane"><p class="hint pad">Loading the profile…</p></section>;
  const { frames, meta } = loaded;
  const name = (node: number): string => frames.names[tree.frame[node]];
  const toggle = (i: number, open: boolean): void => {
    const next = new Set(expanded);
    if (open) for (const node of hotPath(tree, rows[i].node)) next.add(node);
    else next.delete(rows[i].node);
    setExpanded(next);
  };
  return (
    <section class="top-table tree-pane" aria-label="Call tree">
      <div class="thead"><span class="th" aria-hidden="true">total</span><span class="th" aria-hidden="true">self</span><span class="th name" aria-hidden="true">frame</span></div>
      <VirtualRows
        count={rows.length}
        label="Call tree. Right expands, Left collapses, Enter zooms in."
        roles={{ list: 'tree', row: 'treeitem' }}
        title={(i) => cutName(name(rows[i].node), 1_000)}
        selected={(i) => rows[i].node === focusNode.value}
        choose={(i) => zoomTo(nodeId(rows[i].node))}
        menu={(i, x, y) => openMenu(functionOf(rows[i].node), x, y)}
        moved={(i) => focus(nodeId(rows[i].node))}
        aria={(i) => ({ 'aria-level': rows[i].level, 'aria-posinset': rows[i].position, 'aria-setsize': rows[i].siblings, ...(rows[i].expanded === null ? {} : { 'aria-expanded': rows[i].expanded }) })}
        keyed={(i, key) => {
          const row = rows[i];
          if (key === 'ArrowRight') {
            if (row.expanded === false) toggle(i, true);
            return row.expanded === true ? i + 1 : i;
          }
          if (key !== 'ArrowLeft') return null;
          if (row.expanded === true) {
            toggle(i, false);
            return i;
          }
          const parent = rows.findLastIndex((other, at) => at < i && other.level < row.level);
          return parent < 0 ? i : parent;
        }}
      >
        {(i) => {
          const { node, level, expanded: isOpen } = rows[i];
          return (
            <>
              <span class="num"><span>{formatValue(tree.sum[node], meta.unit)}</span><b>{formatShare(tree.sum[node], tree.sum[0])}</b></span>
              <span class="num"><span>{formatValue(tree.self[node], meta.unit)}</span><b>{formatShare(tree.self[node], tree.sum[0])}</b></span>
              <span class="name" style={{ paddingLeft: `${Math.min(level - 1, 40) * 10}px` }}>
                <button type="button" class="twist" tabIndex={-1} aria-hidden="true" disabled={isOpen === null} onClick={(e) => { e.stopPropagation(); toggle(i, isOpen !== true); }}>{isOpen === null ? '·' : isOpen ? '▾' : '▸'}</button>
                <bdi>{cutName(name(node), 300)}</bdi>
                {tree.hidden[node] > 0 && <span class="quiet"> {hiddenText(tree, node)}</span>}
              </span>
            </>
          );
        }}
      </VirtualRows>
    </section>
  );
}
