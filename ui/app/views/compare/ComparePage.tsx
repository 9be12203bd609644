import '../../style/compare.css';
import { useEffect, useRef } from 'preact/hooks';
import { problemText } from '../../api/problem';
import { DIVERGING } from '../../logic/colours';
import { SCALES, caution, summary } from '../../logic/compare/words';
import { formatShare } from '../../logic/format';
import { typeLabel } from '../../logic/profiletypes';
import { filterable } from '../../logic/selector';
import { ROOT } from '../../logic/units';
import { comparison, found, labels, pinnedUrl, problem, refresh, searchProblem, service, services, shown, spans, state, types, update, zoomNode, zoomTo } from '../../state/compare';
import { fileProblem, files } from '../../state/comparefiles';
import { usePageKeys } from '../keys';
import { Nav } from '../Nav';
import { RefreshButton } from '../RefreshButton';
import { DiffPane } from './DiffPane';
import { Lazy } from '../Lazy';
import { Menu } from '../Menu';
import { LinkButton } from './LinkButton';
import { RankTable } from './RankTable';
import { Selections } from './Selections';

const loadSides = () => import('./SidesPane').then(({ SidesPane }) => SidesPane);
const loadViews = () => import('../SavedViews').then(({ savedViews }) => savedViews({ link: () => `compare${pinnedUrl()}`, title: () => `Comparison: ${typeLabel(state.peek().type)} of ${service.peek() ?? 'several services'}` }));

export function ComparePage() {
  const search = useRef<HTMLInputElement>(null);
  usePageKeys(search);
  const name = service.value;
  useEffect(() => {
    document.title = `Compare${name === null ? '' : ` · ${name} · ${typeLabel(state.value.type)}`} · Davy`;
  }, [name, state.value.type]);
  const { view } = state.value;
  const empty = shown.value !== null && shown.value.tree.sum[0] === 0;
  const valid = (spans.value.now !== null || files.value.now !== null) && (spans.value.base !== null || files.value.base !== null);
  return (
    <div class="page compare-page">
      <header class="bar">
        <Nav page="compare" />
        <Pickers />
        <span class="grow" />
        <LinkButton />
        <Menu id="views-menu" title="Views" load={loadViews} />
        <RefreshButton isBusy={comparison.state.value.loading} onClick={refresh} />
      </header>
      <main class="compare-main">
        <h1 class="visually-hidden">Compare two selections</h1>
        <Selections />
        <Notices />
        <Verdict />
        <Tools search={search} />
        {empty || !valid ? <p class="hint pad">{valid ? 'Neither side has samples. Choose other ranges or selectors above.' : ''}</p> : (
          <div class={`panes panes-${view}`}>
            {(view === 'both' || view === 'table') && <RankTable />}
            {(view === 'both' || view === 'flame') && <DiffPane />}
            {view === 'sides' && <Lazy load={loadSides} />}
          </div>
        )}
      </main>
    </div>
  );
}

function Pickers() {
  const { type, by } = state.value;
  const known = types.state.value.data ?? [];
  const list = type !== '' && !known.includes(type) ? [type, ...known] : known;
  const names = filterable(labels.state.value.data ?? []);
  const current = by.join(',');
  const choices = ['', 'member', 'member,op', ...names].filter((c, i, all) => all.indexOf(c) === i && c.split(',').every((n) => n === '' || names.includes(n)));
  if (!choices.includes(current)) choices.push(current);
  const { now, base } = files.value;
  if (now !== null && base !== null) return null;
  return (
    <>
      <label class="field"><span>profile</span>
        <select id="type" value={type} title={type} onChange={(e) => update({ type: e.currentTarget.value })}>
          {list.map((id) => <option key={id} value={id}>{typeLabel(id)}</option>)}
        </select>
      </label>
      {now === null && base === null && <label class="field"><span>group by</span>
        <select id="by" value={current} onChange={(e) => update({ by: e.currentTarget.value.split(',').filter(Boolean), zoom: [] })}>
          {choices.map((c) => <option key={c} value={c}>{c === '' ? 'none' : c.replace(',', ', ')}</option>)}
        </select>
      </label>}
    </>
  );
}

function Notices() {
  const failed = [comparison, types, services].find((r) => r.state.value.problem !== null);
  const waiting = [comparison, types, services].find((r) => r.state.value.loading && r.state.value.slow);
  const partial = shown.value?.meta.partial ?? [];
  return (
    <div class="notices">
      {failed !== undefined && (
        <p class="notice error" role="alert">
          <span><b>The comparison could not be loaded.</b> {problemText(failed.state.value.problem!)}{shown.value !== null && ' Showing the last data received.'}{failed.state.value.retrying && ' Retrying.'}</span>
          <button type="button" onClick={() => failed.retry()}>Retry</button>
        </p>
      )}
      {waiting !== undefined && (
        <p class="notice info" role="status" id="slow"><span><b>No response yet.</b> The server may be busy, or the ranges are large.</span><button type="button" onClick={() => waiting.cancel()}>Cancel</button></p>
      )}
      {fileProblem.value !== '' && <p class="notice error" role="alert" id="file-problem"><span>{fileProblem.value}</span><button type="button" onClick={() => { fileProblem.value = ''; }}>Dismiss</button></p>}
      {problem.value !== null && <p class="notice error" role="alert"><span>{problemText(problem.value)}</span></p>}
      {partial.length > 0 && <p class="notice partial" role="status"><span><b>Incomplete data.</b> {partial.join(' ')}</span></p>}
    </div>
  );
}

function Verdict() {
  const loaded = shown.value;
  if (loaded === null) return null;
  const warning = caution(loaded.raw, loaded.scale);
  return (
    <div class="verdict" role="status">
      <p id="verdict">{summary(loaded.raw, loaded.scale)}</p>
      {warning !== '' && <p class="notice partial" id="caution"><span>{warning}</span></p>}
    </div>
  );
}

const LEGEND: [string, number][] = [['gone', 0], ['less', 2], ['same', 5], ['more', 8], ['new', 10]];

function Tools({ search }: { search: preact.RefObject<HTMLInputElement | null> }) {
  const { view, scale } = state.value;
  const loaded = shown.value;
  const isFile = files.value.now !== null || files.value.base !== null;
  const result = found.value?.result;
  return (
    <div class="bar tools">
      <fieldset class="segments" aria-label="View">
        {(['both', 'flame', 'sides', 'table'] as const).map((id) => (
          <button type="button" key={id} id={`view-${id}`} aria-pressed={view === id} onClick={() => update({ view: id })}>{{ both: 'Both', flame: 'Flame graph', sides: 'Side by side', table: 'Table' }[id]}</button>
        ))}
      </fieldset>
      <fieldset class="segments" aria-label="Values">
        {SCALES.filter(({ id }) => id !== 'rate' || (loaded?.raw.aggregation !== 'average' && !isFile)).map(({ id, label, title }) => (
          <button type="button" key={id} id={`scale-${id}`} title={title} aria-pressed={(loaded?.scale ?? scale) === id} onClick={() => update({ scale: id }, 'replace')}>{label}</button>
        ))}
      </fieldset>
      <div class="search">
        <input ref={search} id="search" type="search" placeholder="Search by regex (/)" aria-label="Search functions by regular expression" spellcheck={false} autocomplete="off" value={state.value.search} onInput={(e) => update({ search: e.currentTarget.value }, 'typed')} />
        <output id="matched" class="matched">{searchProblem.value !== '' ? <em role="alert" title={searchProblem.value}>{searchProblem.value}</em> : result && (result.whole.nodes === 0 ? <b>no matches</b> : <><b>{formatShare(result.whole.matched, result.whole.of)}</b> matched</>)}</output>
      </div>
      {zoomNode.value !== ROOT && <button type="button" class="ghost" id="reset-zoom" onClick={() => zoomTo(ROOT)}>Reset zoom</button>}
      <span class="grow" />
      <ul class="diff-legend" aria-label="Colours; the width of a frame is the mean of both sides">
        {LEGEND.map(([word, i]) => <li key={word}><i style={{ background: DIVERGING[i] }} aria-hidden="true" />{word}</li>)}
      </ul>
    </div>
  );
}
