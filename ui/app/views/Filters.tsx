import { useRef, useState } from 'preact/hooks';
import { type Matcher, filtersOf, formatMatcher, parseSelector } from '../logic/selector';
import { useDismiss } from './dismiss';
import { Lazy } from './Lazy';
import { OpenButton } from './OpenButton';
import { selector, state, update } from '../state/explore';

const loadForm = () => import('./FilterForm').then(({ FilterForm }) => FilterForm);

/** The selector, both as chips and as text; both edit the same state. */
export function Filters() {
  const [editing, setEditing] = useState<Matcher | 'new' | null>(null);
  const anchor = useRef<HTMLSpanElement>(null);
  useDismiss(anchor, editing !== null, () => setEditing(null));
  const filters = filtersOf(state.value.matchers);
  const remove = (m: Matcher): void => update({ matchers: state.value.matchers.filter((x) => x !== m) });
  const save = (m: Matcher): void => {
    const rest = state.value.matchers;
    update({ matchers: editing === 'new' ? [...rest, m] : rest.map((x) => (x === editing ? m : x)) });
    setEditing(null);
  };
  return (
    <div class="bar filters">
      {filters.map((m) => (
        <span class={m.op.startsWith('!') ? 'chip not' : 'chip'} key={formatMatcher(m)}>
          <button type="button" title="Edit this filter" onClick={() => setEditing(m)}>
            {m.name}<b>{m.op}</b>{m.value === '' ? '""' : m.value}
          </button>
          <button type="button" class="x" aria-label={`Remove ${formatMatcher(m)}`} onClick={() => remove(m)}>×</button>
        </span>
      ))}
      <span class="anchor" ref={anchor}>
        <button type="button" id="add-filter" class="ghost" onClick={() => setEditing(editing === 'new' ? null : 'new')}>+ filter</button>
        {editing !== null && (
          <Lazy
            key={editing === 'new' ? 'new' : formatMatcher(editing)}
            load={loadForm}
            props={{ initial: editing === 'new' ? null : editing, save, cancel: () => setEditing(null) }}
            isQuiet
          />
        )}
      </span>
      <SelectorField />
      <OpenButton />
    </div>
  );
}

function SelectorField() {
  const [draft, setDraft] = useState<string | null>(null);
  const text = draft ?? (state.value.invalidSelector || selector.value);
  const parsed = parseSelector(text);
  const commit = (): void => {
    if (draft === null) return;
    if (!parsed.ok) return;
    if (draft !== selector.value || state.value.invalidSelector !== '') update({ matchers: parsed.matchers });
    setDraft(null);
  };
  return (
    <form class="selector" onSubmit={(e) => { e.preventDefault(); commit(); }}>
      <input
        id="selector"
        aria-label="Selector"
        aria-invalid={!parsed.ok}
        spellcheck={false}
        autocomplete="off"
        class={parsed.ok ? 'mono' : 'mono bad'}
        value={text}
        onInput={(e) => setDraft(e.currentTarget.value)}
        onBlur={commit}
        onKeyDown={(e) => e.key === 'Escape' && setDraft(null)}
      />
      {!parsed.ok && <p class="field-error" role="alert">{parsed.error}</p>}
    </form>
  );
}
