import { useMemo } from 'preact/hooks';
import { type RankKey, sortRank } from '../../logic/compare/rank';
import { changeText, deltaText, valueText } from '../../logic/compare/words';
import { hasAllocators } from '../../logic/allocator';
import { counted, formatCount, formatShare } from '../../logic/format';
import { cutName } from '../../logic/names';
import { exactly } from '../../logic/search';
import { ROOT } from '../../logic/units';
import { attributes, comparison, matching, ranked, shown, state, update, zoomNode } from '../../state/compare';
import { VirtualRows } from '../VirtualRows';

const COLUMNS: { id: RankKey; label: string; title: string }[] = [
  { id: 'delta', label: 'change', title: 'The difference of the totals, largest in either direction first' },
  { id: 'self', label: 'self change', title: 'The difference of the self values' },
  { id: 'now', label: 'compared', title: 'The total of the compared side' },
  { id: 'base', label: 'base', title: 'The total of the base' },
  { id: 'name', label: 'function', title: '' },
];

/** The functions, ranked by what changed. */
export function RankTable() {
  const loaded = shown.value;
  const rows = ranked.value;
  const { sort, search } = state.value;
  const names = matching.value;
  const listed = useMemo(() => {
    const all = rows ?? [];
    return sortRank(names === null ? all : all.filter((row) => names.has(row.name)), sort, sort !== 'name');
  }, [rows, names, sort]);
  const zoomed = zoomNode.value !== ROOT;
  return (
    <section class="top-table rank-table" aria-label="Functions by change" aria-busy={comparison.state.value.loading}>
      <div class="thead">
        {COLUMNS.map(({ id, label, title }) => (
          <button type="button" key={id} class={`th ${id === 'name' ? 'name' : ''}`} title={title} aria-label={`Sort by ${label}`} aria-pressed={sort === id} onClick={() => update({ sort: id }, 'replace')}>
            {label}{sort === id ? (id === 'name' ? ' ▴' : ' ▾') : ''}
          </button>
        ))}
      </div>
      {loaded === null || rows === null ? <p class="hint pad">{comparison.state.value.loading ? 'Loading the table…' : ''}</p> : (
        <VirtualRows
          count={listed.length}
          label="Functions by change"
          title={(i) => cutName(listed[i].name, 1_000)}
          selected={(i) => search === exactly(listed[i].name)}
          choose={(i) => {
            const exact = exactly(listed[i].name);
            update({ search: search === exact ? '' : exact });
          }}
        >
          {(i) => {
            const row = listed[i];
            const { scale, raw, sides } = loaded;
            const text = changeText(row.now, row.base);
            return (
              <>
                <span class={`num delta ${text === 'same' || text === '' ? '' : row.now > row.base ? 'up' : 'down'}`}>
                  <span>{deltaText(row.now, row.base, scale, raw)}</span><b>{text}</b>
                </span>
                <span class="num one">{deltaText(row.nowSelf, row.baseSelf, scale, raw)}</span>
                <span class="num one" title={`${formatShare(row.now, sides.now[0])} of the compared side`}>{valueText(row.now, scale, raw)}</span>
                <span class="num one" title={`${formatShare(row.base, sides.base[0])} of the base`}>{valueText(row.base, scale, raw)}</span>
                <bdi class="name">{cutName(row.name, 300)}</bdi>
              </>
            );
          }}
        </VirtualRows>
      )}
      <p class="tfoot">
        {rows !== null && <>{search !== '' && `${formatCount(listed.length)} of `}{counted(rows.length, 'function')}{zoomed && ' in the zoomed frame'}</>}
        {hasAllocators(state.value.type) && (
          <label class="attribute" title="Frames such as malloc, alloc and Vec::push are left out, and their values count for the function that called them">
            <input id="attribute" type="checkbox" checked={attributes.value} onChange={() => update({ allocators: !state.value.allocators }, 'replace')} /> allocator frames count for their callers
          </label>
        )}
      </p>
    </section>
  );
}
