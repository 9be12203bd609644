import { formatCount, formatShare } from '../logic/format';
import { ROOT } from '../logic/units';
import type { ColourBy } from '../logic/colours';
import type { View } from '../logic/urlstate';
import { colouring, grouping, linkQuery } from '../state/queries';
import { local, service, state, update } from '../state/explore';
import { storeFold, unfolded } from '../state/folding';
import { found, matchIndex, prepareSearch, searchProblem, step } from '../state/search';
import { functionOf, sandwichOf } from '../state/transforms';
import { focusNode, zoomNode } from '../state/zoom';
import { typeLabel } from '../logic/profiletypes';
import { CopyLink, pinnedLink } from './CopyLink';
import { Menu } from './Menu';

const VIEWS: [View, string][] = [['both', 'Both'], ['flame', 'Flame graph'], ['table', 'Table'], ['sandwich', 'Callers'], ['tree', 'Tree']];

const loadCompare = () => import('./CompareLinks').then(({ CompareLinks }) => CompareLinks);
const loadViews = () => import('./SavedViews').then(({ savedViews }) => savedViews({ link: pinnedLink, title: () => `${typeLabel(state.peek().type)} of ${service.peek() ?? 'several services'}` }));
const loadExport = () => import('./ExportLinks').then(({ ExportLinks }) => ExportLinks);

const TITLES: Partial<Record<View, string>> = {
  sandwich: 'Callers and callees of a function', tree: 'The call tree as an outline, for screen readers and without colours',
};

export function Toolbar({ search }: { search: preact.RefObject<HTMLInputElement | null> }) {
  const { view, order, growth, fold } = state.value;
  const hasQuery = linkQuery.value !== null;
  return (
    <div class="bar tools">
      <fieldset class="segments" aria-label="View">
        {VIEWS.map(([id, name]) => (
          <button type="button" key={id} id={`view-${id}`} aria-pressed={view === id} title={TITLES[id]} onClick={() => (id === 'sandwich' && functionOf(focusNode.value) !== '' ? sandwichOf(functionOf(focusNode.value)) : update({ view: id }))}>{name}</button>
        ))}
      </fieldset>
      <SearchBox input={search} />
      <span class="grow" />
      <button
        type="button"
        id="fold"
        class="pressable"
        aria-pressed={fold}
        title="Show each unbranching run of runtime frames (std, tokio, libc and similar) as one row"
        onClick={() => {
          unfolded.value = [];
          storeFold(!fold);
          update({ fold: !fold }, 'replace');
        }}
      >
        Fold runtime
      </button>
      <label class="field">
        <span>colour</span>
        <select id="colour" value={colouring.value} onChange={(e) => update({ colour: e.currentTarget.value as ColourBy }, 'replace')}>
          {local.value === null && (grouping.value?.length ?? 0) > 0 && <option value="group">{grouping.value![0]}</option>}
          <option value="package">package</option>
          <option value="value">self value</option>
        </select>
      </label>
      <fieldset class="segments" aria-label="Order of frames">
        <button type="button" title="Largest first" aria-pressed={order === 'heavy'} onClick={() => update({ order: 'heavy' }, 'replace')}>Largest</button>
        <button type="button" title="By name" aria-pressed={order === 'name'} onClick={() => update({ order: 'name' }, 'replace')}>A–Z</button>
      </fieldset>
      <fieldset class="segments" aria-label="Direction">
        <button type="button" title="Root at the top (icicle)" aria-label="Root at the top" aria-pressed={growth === 'down'} onClick={() => update({ growth: 'down' }, 'replace')}>↓</button>
        <button type="button" title="Root at the bottom (flame)" aria-label="Root at the bottom" aria-pressed={growth === 'up'} onClick={() => update({ growth: 'up' }, 'replace')}>↑</button>
      </fieldset>
      {hasQuery && <Menu id="compare-menu" title="Compare" load={loadCompare} />}
      {local.value === null && <CopyLink />}
      {local.value === null && <Menu id="views-menu" title="Views" load={loadViews} />}
      {(hasQuery || local.value !== null) && <Menu id="export-menu" title="Export" load={loadExport} />}
    </div>
  );
}

function SearchBox({ input }: { input: preact.RefObject<HTMLInputElement | null> }) {
  const text = state.value.search;
  const type = (search: string): void => update({ search }, 'typed');
  const key = (e: KeyboardEvent): void => {
    if (e.key === 'Escape') {
      e.stopPropagation();
      if (text === '') input.current?.blur();
      type('');
    } else if (e.key === 'Enter' || e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      step(e.key === 'ArrowUp' || e.shiftKey ? -1 : 1);
    }
  };
  return (
    <div class="search">
      <input
        ref={input}
        id="search"
        type="search"
        placeholder="Search by regex (/)"
        aria-label="Search frames by regular expression"
        aria-describedby="matched"
        spellcheck={false}
        autocomplete="off"
        value={text}
        onFocus={prepareSearch}
        onInput={(e) => type(e.currentTarget.value)}
        onKeyDown={key}
      />
      <output id="matched" class="matched"><Matched /></output>
      <Steps />
    </div>
  );
}

function Matched() {
  const result = found.value?.result;
  if (searchProblem.value !== '') return <em role="alert" title={searchProblem.value}>{searchProblem.value}</em>;
  if (!result || state.value.search === '') return null;
  const { whole, zoomed, note } = result;
  const { matched, unknown, of, nodes } = zoomNode.value === ROOT ? whole : zoomed;
  return (
    <>
      {nodes === 0 && unknown === 0 ? (
        <b>no matches</b>
      ) : (
        <>
          <b>{formatShare(matched, of)}</b> matched
          {unknown > 0 && <span title="Frames that are too small to be drawn may match too"> + up to {formatShare(unknown, of)} not drawn</span>}
          {zoomNode.value !== ROOT && <> of the zoomed frame, {formatShare(whole.matched, whole.of)} of total</>}
        </>
      )}
      {note && <em> {note}</em>}
    </>
  );
}

/** Buttons for the previous and next match, and the position among all matches. */
function Steps() {
  const count = found.value?.result.matches.length ?? 0;
  if (count === 0 || (state.value.view !== 'both' && state.value.view !== 'flame')) return null;
  return (
    <span class="steps">
      <button type="button" class="ghost" title="Previous match (Shift+Enter)" aria-label="Previous match" onClick={() => step(-1)}>↑</button>
      <span id="match-index" class="quiet" title="Matching rows, widest first">{matchIndex.value < 0 ? '–' : formatCount(matchIndex.value + 1)} of {formatCount(count)}</span>
      <button type="button" class="ghost" title="Next match (Enter)" aria-label="Next match" onClick={() => step(1)}>↓</button>
    </span>
  );
}
