import { batch } from '@preact/signals';
import { useRef, useState } from 'preact/hooks';
import { typeLabel } from '../logic/profiletypes';
import { formatRange } from '../logic/format';
import { DEFAULT_RANGE, PRESETS, isChosen } from '../logic/range';
import { filterable, withService } from '../logic/selector';
import { ofSpans } from '../logic/tracelink';
import { LIVE } from '../logic/urlstate';
import { useDismiss } from './dismiss';
import { Lazy } from './Lazy';
import { Nav } from './Nav';
import { RefreshButton } from './RefreshButton';
import { adaptType, effective, grouping, labelNames, services, types } from '../state/queries';
import { busy } from '../state/status';
import { NODES_INITIAL, local, maxNodes, now, refresh, service, setRange, state, update } from '../state/explore';

const loadFile = () => import('./LocalFile').then(({ FileBar }) => FileBar);

export function Header() {
  return (
    <header class="bar">
      <Nav page="explore" />
      {local.value !== null ? <Lazy key="file" load={loadFile} isQuiet /> : <ServerPickers />}
    </header>
  );
}

function ServerPickers() {
  return (
    <>
      <ServicePicker />
      <TypePicker />
      <GroupPicker />
      <span class="grow" />
      <EffectiveRange />
      <RangePicker />
      <LivePicker />
      <RefreshButton isBusy={busy.value} onClick={refresh} />
    </>
  );
}

function ServicePicker() {
  const known = services.state.value.data ?? [];
  const current = service.value;
  const list = current !== null && !known.includes(current) ? [current, ...known] : known;
  const choose = (value: string): void => {
    maxNodes.value = NODES_INITIAL;
    // The range that suits a new service may hide data of another one.
    const range = isChosen(state.value.range) ? state.value.range : DEFAULT_RANGE;
    batch(() => {
      adaptType.value = true;
      update({ matchers: [...withService(value), ...ofSpans(state.peek().matchers)], zoom: [], by: null, range });
    });
  };
  return (
    <label class="field">
      <span>service</span>
      <select id="service" value={current ?? ''} onChange={(e) => choose(e.currentTarget.value)}>
        {current === null && <option value="">{state.value.matchers.length > 0 ? '(from selector)' : '…'}</option>}
        {list.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

function TypePicker() {
  const known = types.state.value.data ?? [];
  const current = state.value.type;
  const list = current !== '' && !known.includes(current) ? [current, ...known] : known;
  return (
    <label class="field">
      <span>profile</span>
      <select id="type" value={current} title={current} disabled={list.length === 0} onChange={(e) => update({ type: e.currentTarget.value })}>
        {list.length === 0 && <option value="">{types.state.value.data === null ? '…' : 'none'}</option>}
        {list.map((id) => <option key={id} value={id}>{typeLabel(id)}</option>)}
      </select>
    </label>
  );
}

function GroupPicker() {
  const known = filterable(labelNames.value ?? []);
  const current = grouping.value?.join(',') ?? '';
  const choices = ['', 'member', 'member,op', ...known].filter(
    (c, i, all) => all.indexOf(c) === i && c.split(',').every((n) => n === '' || known.includes(n)),
  );
  if (!choices.includes(current)) choices.push(current);
  const choose = (value: string): void => update({ by: value.split(',').filter(Boolean), zoom: [] });
  return (
    <label class="field">
      <span>group by</span>
      <select id="by" value={current} onChange={(e) => choose(e.currentTarget.value)}>
        {choices.map((c) => <option key={c} value={c}>{c === '' ? 'none' : c.replace(',', ', ')}</option>)}
      </select>
    </label>
  );
}

const loadForm = () => import('./RangeForm').then(({ RangeForm }) => RangeForm);

function RangePicker() {
  const { range } = state.value;
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useDismiss(box, open, () => setOpen(false));
  const preset = range.until === 'now' ? PRESETS.find((p) => p.from === range.from) : undefined;
  return (
    <div class="range" ref={box}>
      <fieldset class="segments" aria-label="Range">
        {PRESETS.map((p) => (
          <button type="button" key={p.label} title={p.name} aria-pressed={preset === p} onClick={() => setRange(p.from, 'now')}>
            {p.label}
          </button>
        ))}
        <button type="button" title="Choose the start and end" aria-pressed={!preset} aria-expanded={open} onClick={() => setOpen(!open)}>
          Custom
        </button>
      </fieldset>
      {open && <Lazy load={loadForm} props={{ done: () => setOpen(false) }} isQuiet />}
    </div>
  );
}

/** The range that is counted, where it is wider than the chosen one. */
function EffectiveRange() {
  const range = effective.value;
  if (range === null) return null;
  return (
    <span class="effective" id="effective" role="status" title="Windows of this time have expired: only sums of whole hours or days are left. Links and exports contain this range">
      counts {formatRange(range, now.value, false)}
    </span>
  );
}

function LivePicker() {
  return (
    <label class={state.value.live > 0 ? 'field live on' : 'field live'}>
      <span>live</span>
      <select id="live" value={String(state.value.live)} onChange={(e) => update({ live: Number(e.currentTarget.value) }, 'replace')}>
        {LIVE.map((s) => <option key={s} value={String(s)}>{s === 0 ? 'off' : `${s} s`}</option>)}
      </select>
    </label>
  );
}
