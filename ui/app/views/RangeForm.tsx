import { useState } from 'preact/hooks';
import { parseInstant } from '../logic/instant';
import { rangeFromFields } from '../logic/range';
import { now, setRange, state } from '../state/explore';

/** An end of the range as its field shows it: absolute times in local time, to the second. */
function fieldText(text: string): string {
  if (!/^\d+$/.test(text)) return text;
  const t = new Date(parseInstant(text, 0)!);
  return new Date(t.getTime() - t.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** The fields of a chosen range. */
export function RangeForm({ done }: { done: () => void }) {
  const [from, setFrom] = useState(fieldText(state.value.range.from));
  const [until, setUntil] = useState(fieldText(state.value.range.until));
  const chosen = rangeFromFields(from, until, now.value);
  const apply = (e: Event): void => {
    e.preventDefault();
    if (chosen === null) return;
    setRange(chosen.from, chosen.until);
    done();
  };
  return (
    <form class="popover range-form" onSubmit={apply} onKeyDown={(e) => e.key === 'Escape' && done()}>
      <label>from <input value={from} autofocus onInput={(e) => setFrom(e.currentTarget.value)} /></label>
      <label>until <input value={until} onInput={(e) => setUntil(e.currentTarget.value)} /></label>
      <p class={chosen === null ? 'hint bad' : 'hint'}>
        {chosen === null && 'Invalid range. '}Examples: now, 90m (ago), now-1h30m, 2026-03-01, 2026-03-01 03:10 (local time), RFC 3339, or unix time in s, ms, us or ns
      </p>
      <button type="submit" class="primary" disabled={chosen === null}>Apply</button>
    </form>
  );
}
