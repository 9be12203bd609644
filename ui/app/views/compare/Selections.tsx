import { useEffect, useState } from 'preact/hooks';
import { formatRange } from '../../logic/format';
import { parseInstant } from '../../logic/instant';
import { type Selection, earlier, presets } from '../../logic/compare/urlstate';
import { type Range, rangeFromFields } from '../../logic/range';
import { parseSelector } from '../../logic/selector';
import type { SideName } from '../../logic/compare/sides';
import { files, swapFiles } from '../../state/comparefiles';
import { FileButton, FileSide, SideDrop } from './FileSide';
import { now, spans, state, update } from '../../state/compare';

/** The two sides: their selectors and ranges. */
export function Selections() {
  const s = state.value;
  const span = spans.value.now;
  const local = files.value;
  const swap = <button type="button" id="swap" title="Exchange the two sides" onClick={() => { void swapFiles(); update({ now: s.base, base: s.now, zoom: [] }); }}>Swap</button>;
  return (
    <section class="sides" aria-label="Selections">
      {local.now !== null ? <FileSide side="now" /> : <Side name="Compared" side="now" of={s.now} change={(side) => update({ now: side, zoom: [] })} span={spans.value.now} />}
      {local.base !== null ? <FileSide side="base">{swap}</FileSide> : <Side name="Base" side="base" of={s.base} change={(side) => update({ base: side, zoom: [] })} span={spans.value.base}>
        {local.now === null && span !== null && presets(span).map(({ label, by }) => (
          <button type="button" key={label} onClick={() => update({ base: { selector: s.now.selector, range: earlier(span, by) }, zoom: [] })}>{label}</button>
        ))}
        {swap}
      </Side>}
      <SideDrop />
    </section>
  );
}

/** An end of a range as its field shows it: absolute times in local time, to the second. */
function fieldText(text: string): string {
  if (!/^\d+$/.test(text)) return text;
  const t = new Date(parseInstant(text, 0)!);
  return new Date(t.getTime() - t.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

interface SideProps {
  name: string;
  side: SideName;
  of: Selection;
  change: (side: Selection) => void;
  span: { from: number; until: number } | null;
  children?: preact.ComponentChildren;
}

function Side({ name, side, of, change, span, children }: SideProps) {
  const [selector, setSelector] = useState(of.selector);
  const [from, setFrom] = useState(fieldText(of.range.from));
  const [until, setUntil] = useState(fieldText(of.range.until));
  useEffect(() => setSelector(of.selector), [of.selector]);
  useEffect(() => {
    setFrom(fieldText(of.range.from));
    setUntil(fieldText(of.range.until));
  }, [of.range.from, of.range.until]);
  const parsed = parseSelector(selector);
  // Fields that were not touched keep their milliseconds.
  const isEdited = from !== fieldText(of.range.from) || until !== fieldText(of.range.until);
  const range: Range | null = isEdited ? rangeFromFields(from, until, now.value) : of.range;
  const commit = (e?: Event): void => {
    e?.preventDefault();
    if (!parsed.ok || range === null || (selector === of.selector && !isEdited)) return;
    change({ selector, range });
  };
  const id = name.toLowerCase();
  return (
    <form class={`side side-${id}`} data-side={side} onSubmit={commit} aria-label={name}>
      <b class="side-name">{name}</b>
      <input id={`${id}-selector`} class={parsed.ok ? 'mono selector-field' : 'mono selector-field bad'} aria-label={`${name}: selector`} aria-invalid={!parsed.ok} spellcheck={false} autocomplete="off" value={selector} onInput={(e) => setSelector(e.currentTarget.value)} onBlur={() => commit()} />
      <input id={`${id}-from`} class="time" aria-label={`${name}: start`} aria-invalid={range === null} value={from} onInput={(e) => setFrom(e.currentTarget.value)} onBlur={() => commit()} />
      <span aria-hidden="true">–</span>
      <input id={`${id}-until`} class="time" aria-label={`${name}: end`} aria-invalid={range === null} value={until} onInput={(e) => setUntil(e.currentTarget.value)} onBlur={() => commit()} />
      <button type="submit" class="visually-hidden">Apply</button>
      <span class="side-buttons"><FileButton side={side} />{children}</span>
      {span !== null && <span class="quiet side-range">{formatRange(span, now.value)}</span>}
      {!parsed.ok && <p class="field-error" role="alert">{parsed.error}</p>}
      {(range === null || span === null) && <p class="field-error" role="alert">Invalid range: the start must be before the end. Examples: now-1h, 2026-03-01 03:10 (local time).</p>}
    </form>
  );
}
