import { useEffect, useState } from 'preact/hooks';
import { formatCount } from '../logic/format';
import { UNTAGGED } from '../logic/names';
import { type Matcher, OPS, type Op, filterable, matcherFor } from '../logic/selector';
import { labelNames, labelValues } from '../state/queries';

interface FormProps {
  initial: Matcher | null;
  save: (m: Matcher) => void;
  cancel: () => void;
}

/** The editor of a filter. */
export function FilterForm({ initial, save, cancel }: FormProps) {
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
