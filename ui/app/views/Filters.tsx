import { useEffect, useRef, useState } from 'preact/hooks';
import {
  type Matcher, OPS, type Op, filtersOf, filterable, formatMatcher, matcherFor, parseSelector,
} from '../logic/selector';
import { formatCount } from '../logic/format';
import { useDismiss } from './dismiss';
import { OpenButton } from './LocalFile';
import { UNTAGGED } from '../logic/names';
import { labelNames, labelValues } from '../state/queries';
import { selector, state, update } from '../state/explore';

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
          <FilterForm
            key={editing === 'new' ? 'new' : formatMatcher(editing)}
            initial={editing === 'new' ? null : editing}
            save={save}
            cancel={() => setEditing(null)}
          />
        )}
      </span>
      <SelectorField />
      <OpenButton />
    </div>
  );
}

interface FormProps {
  initial: Matcher | null;
  save: (m: Matcher) => void;
  cancel: () => void;
}

function FilterForm({ initial, save, cancel }: FormProps) {
  const names = filterable(labelNames.value ?? []);
  const [name, setName] = useState(initial?.name ?? names[0] ?? '');
  const [op, setOp] = useState<Op>(initial?.op ?? '=');
  const [text, setText] = useState(initial?.value ?? '');
  const [values, setValues] = useState<string[] | null>(null);
  const [chosen, setChosen] = useState<string[]>([]);
  useEffect(() => {
    if (name === '') return;
    setValues(null);
    const control = new AbortController();
    // The empty value matches profiles without the label, shown as untagged everywhere.
    labelValues(name, control.signal).then((known) => setValues(known.length > 0 ? [...known, ''] : known), () => setValues([]));
    return () => control.abort();
  }, [name]);

  const check = (v: string): void => {
    const next = chosen.includes(v) ? chosen.filter((x) => x !== v) : [...chosen, v];
    setChosen(next);
    if (next.length > 0) {
      const m = matcherFor(name, op, next);
      setOp(m.op);
      setText(m.value);
    }
  };
  const submit = (e: Event): void => {
    e.preventDefault();
    if (name !== '') save({ name, op, value: text });
  };
  return (
    <form class="popover filter-form" onSubmit={submit} onKeyDown={(e) => e.key === 'Escape' && cancel()}>
      <div class="row">
        <input list="label-names" aria-label="Label" value={name} onInput={(e) => { setName(e.currentTarget.value); setChosen([]); }} />
        <datalist id="label-names">{names.map((n) => <option key={n} value={n} />)}</datalist>
        <select aria-label="Operator" value={op} onChange={(e) => setOp(e.currentTarget.value as Op)}>
          {OPS.map((o) => <option key={o}>{o}</option>)}
        </select>
        <input class="wide" aria-label="Value" autofocus value={text} placeholder="value" onInput={(e) => setText(e.currentTarget.value)} />
      </div>
      <div class="values">
        {values === null && <p class="hint">loading values…</p>}
        {values?.length === 0 && <p class="hint">no values in this range</p>}
        {values?.slice(0, 200).map((v) => (
          <label key={v}><input type="checkbox" checked={chosen.includes(v) || (text === v && (v !== '' || initial !== null))} onChange={() => check(v)} /> {v === '' ? UNTAGGED : v}</label>
        ))}
        {values !== null && values.length > 200 && <p class="hint">and {formatCount(values.length - 200)} more; type the value instead</p>}
      </div>
      <div class="row end">
        <button type="button" class="ghost" onClick={cancel}>Cancel</button>
        <button type="submit" class="primary">Apply</button>
      </div>
    </form>
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
