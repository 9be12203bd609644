import { useEffect, useMemo, useState } from 'preact/hooks';
import { counted, formatCount, formatShare, formatValue } from '../logic/format';
import { exactly } from '../logic/search';
import type { FunctionRow } from '../api/types';
import { hasAllocators } from '../logic/allocator';
import { cutName } from '../logic/names';
import { type SortKey, sortRows } from '../logic/top';
import { stacklessReason, stacklessValue, withoutStack } from '../logic/totals';
import { ROOT } from '../logic/units';
import { TABLE_ROWS, attributes, ownNow, shown, top } from '../state/queries';
import { local, state, update } from '../state/explore';
import { matchRows, tableHits } from '../state/search';
import { zoomNode, zoomedTop } from '../state/zoom';
import { nameKey } from '../logic/zoompath';
import { sandwichOf } from '../state/transforms';
import { openMenu } from '../state/framemenu';
import { VirtualRows } from './VirtualRows';

const NONE: FunctionRow[] = [];

export function TopTable() {
  const [sort, setSort] = useState<SortKey>('self');
  const [descending, setDescending] = useState(true);
  const { data, loading } = top.state.value;
  const loaded = shown.value;
  const zoom = zoomNode.value;
  const isLocal = local.value !== null;
  const isOwn = ownNow.value !== null;
  const within = (zoom !== ROOT || isLocal) && zoomedTop.value !== null && loaded !== null;
  // Until the table of the own code arrives, the last one is of all code.
  const rows = within ? zoomedTop.value! : isLocal || (isOwn && loading) ? undefined : data?.functions;
  const cut = !within && (rows?.length ?? 0) >= TABLE_ROWS;
  const total = within ? loaded.tree.sum[zoom] : isOwn ? (loaded?.tree.sum[0] ?? 0) : (data?.total ?? 0);
  const unit = (within ? loaded.meta.unit : data?.unit) ?? loaded?.meta.unit ?? '';
  const text = state.value.search;
  const remainder = useMemo(() => (within || isOwn || loaded === null ? 0 : stacklessValue(loaded.tree, loaded.frames.kinds)), [loaded, within, isOwn]);
  const stackless = withoutStack(remainder, unit);
  useEffect(() => matchRows(rows ?? NONE, text), [rows, text]);
  const hits = tableHits.value;
  const listed = useMemo(() => {
    const kept = text !== '' && hits !== null && hits.rows === rows ? hits.rows.filter((_, i) => hits.hit[i] === 1) : (rows ?? NONE);
    return sortRows(kept, sort, descending);
  }, [rows, hits, text, sort, descending]);
  const by = (key: SortKey): void => {
    setDescending(key === sort ? !descending : key !== 'name');
    setSort(key);
  };
  const head = (key: SortKey, label: string) => (
    <button type="button" class={`th ${key}`} aria-label={`Sort by ${label}`} aria-pressed={sort === key} onClick={() => by(key)}>
      {label}{sort === key ? (descending ? ' ▾' : ' ▴') : ''}
    </button>
  );
  return (
    <section class="top-table" aria-busy={loading} aria-label="Functions">
      <div class="thead">{head('self', 'self')}{head('total', 'total')}{head('name', 'function')}</div>
      {rows === undefined ? <p class="hint pad">{loading ? 'Loading the table…' : ''}</p> : <Rows rows={listed} total={total} unit={unit} />}
      <p class="tfoot">
        {rows !== undefined && (
          <>
            {text !== '' && `${formatCount(listed.length)} of `}{cut && 'the '}{counted(rows.length, 'function')}{cut && ' with the largest self values'}
            {isOwn && ' of your own code'}
            {within && zoom !== ROOT && <span title="Computed from the drawn frames"> in the zoomed frame{loaded.tree.hidden[zoom] > 0 || hiddenBelow(zoom) ? ', drawn frames only' : ''}</span>}
            {stackless !== '' && <span id="stackless" title={loaded === null ? '' : stacklessReason(loaded.meta.type)}> · {stackless} ({formatShare(remainder, total)})</span>}
            {hasAllocators(state.value.type) && (
              <label class="attribute" title="Values of frames such as malloc, alloc and Vec::push count for the function that called them">
                <input id="attribute" type="checkbox" checked={attributes.value} onChange={() => update({ allocators: !state.value.allocators }, 'replace')} /> allocator frames count for their callers
              </label>
            )}
          </>
        )}
      </p>
    </section>
  );
}

function hiddenBelow(root: number): boolean {
  const { tree } = shown.value!;
  for (let i = root; i < tree.end[root]; i++) if (tree.hidden[i] > 0) return true;
  return false;
}

function Rows({ rows, total, unit }: { rows: FunctionRow[]; total: number; unit: string }) {
  const most = useMemo(() => rows.reduce((m, r) => Math.max(m, r.self), 0), [rows]);
  const { search, view, fn } = state.value;
  return (
    <VirtualRows
      count={rows.length}
      label="Functions"
      title={(i) => shortTitle(rows[i])}
      selected={(i) => (view === 'sandwich' ? fn === nameKey(rows[i].name) : search === exactly(rows[i].name))}
      menu={(i, x, y) => openMenu(rows[i].name, x, y)}
      choose={(i) => {
        if (view === 'sandwich') {
          sandwichOf(rows[i].name);
          return;
        }
        const exact = exactly(rows[i].name);
        update({ search: search === exact ? '' : exact });
      }}
    >
      {(i) => (
        <>
          <Cell value={rows[i].self} total={total} most={most} unit={unit} />
          <Cell value={rows[i].total} total={total} most={total} unit={unit} />
          <bdi class="name">{cutName(rows[i].name, 300)}</bdi>
        </>
      )}
    </VirtualRows>
  );
}

const TITLE_MAX = 1_000;
function shortTitle({ name, file }: FunctionRow): string {
  const text = file === '' ? name : `${cutName(name, TITLE_MAX)}\n${cutName(file, TITLE_MAX)}`;
  return cutName(text, 2 * TITLE_MAX);
}

/** The bar is relative to the column's largest value, the percentage to the profile. */
function Cell({ value, total, most, unit }: { value: number; total: number; most: number; unit: string }) {
  const share = most > 0 ? Math.min(100, (value / most) * 100) : 0;
  return (
    <span class="num" title={formatValue(value, unit)}>
      <i style={{ width: `${share}%` }} />
      <span>{formatValue(value, unit)}</span>
      <b>{formatShare(value, total)}</b>
    </span>
  );
}
