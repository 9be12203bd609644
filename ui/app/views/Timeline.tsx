import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { fillOf } from '../logic/colours';
import { formatDuration, formatRange, formatTime, formatValue } from '../logic/format';
import { formatRate } from '../logic/rates';
import { UNTAGGED, visible } from '../logic/names';
import { typeLabel } from '../logic/profiletypes';
import { absolute, moved, widened } from '../logic/range';
import { type PlotLine, valueWithin } from '../logic/timeline';
import { millis } from '../logic/units';
import { skinOf, theme } from '../render/skin';
import { hues, series, shaped } from '../state/timeline';
import { marks } from '../state/markers';
import { now, pick, setRange, span, state, update } from '../state/explore';
import { Lazy } from './Lazy';
import { type ColouredLine, Plot } from './plot';

const loadHeat = () => import('./HeatMap').then(({ HeatMap }) => HeatMap);

const hovered = signal<number | null>(null);

/** Totals over time; dragging selects a part of the range. */
export function Timeline() {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const data = shaped.value;
  const range = span.value;
  const picked = state.value.pick;
  useEffect(() => {
    plot.current = new Plot(host.current!, {
      picked: (from, until) => pick({ from: millis(from), until: millis(until) }),
      hovered: (bucket) => { hovered.value = bucket; },
    });
    return () => plot.current?.dispose();
  }, []);
  useEffect(() => {
    if (!data || !range) return;
    const stacked = state.value.plot === 'stack';
    const lines: ColouredLine[] = data.lines.map((line) => ({ ...line, colour: colourOf(line) }));
    plot.current?.show({ times: data.times, step: data.step, lines, stacked, scale: data.scale, range, pick: picked, marks: marks.value });
  }, [data, range?.from, range?.until, picked, theme.value, hues.value, marks.value]);
  const key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey || data === null || data.times.length === 0) return;
    const { step, times } = data;
    const last = times[times.length - 1] + step;
    const by = e.key === 'ArrowRight' ? step : e.key === 'ArrowLeft' ? -step : 0;
    if (by !== 0) pick(moved(picked, by, e.shiftKey, times[0], last, step));
    else if (e.key === 'Enter' && picked) {
      const r = absolute(picked);
      setRange(r.from, r.until);
    } else if (e.key === 'Escape' && picked) pick(null);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const { loading } = series.state.value;
  const isHeat = state.value.plot === 'heat';
  return (
    <section class="timeline" aria-label="Timeline" aria-busy={loading}>
      <div class="timeline-head">
        <b>{typeLabel(state.value.type)}</b>
        {data && data.step > 0 && <span class="quiet" title="Values are spread over the duration of their windows, so that bars of equal load are equal">{data.scale.title} · bars of {formatDuration(data.step)}</span>}
        <span class="grow" />
        {picked ? (
          <>
            <span id="picked">{formatRange(picked, now.value)}</span>
            <button type="button" id="zoom-timeline" class="ghost" title="Use the selection as the range" onClick={() => { const r = absolute(picked); setRange(r.from, r.until); }}>Zoom in</button>
            <button type="button" id="clear-pick" class="ghost" title="Clear the selection (Escape)" onClick={() => pick(null)}>Whole timeline</button>
          </>
        ) : (
          data !== null && data.lines.length > 0 && <span class="quiet">drag to select a range</span>
        )}
        <button type="button" id="widen" class="ghost" title="Double the range" onClick={() => { if (range) { const r = absolute(widened(range, Date.now())); setRange(r.from, r.until); } }}>Zoom out</button>
        <fieldset class="segments" aria-label="Timeline style">
          <button type="button" aria-pressed={state.value.plot === 'stack'} onClick={() => update({ plot: 'stack' }, 'replace')}>Stack</button>
          <button type="button" aria-pressed={state.value.plot === 'lines'} onClick={() => update({ plot: 'lines' }, 'replace')}>Lines</button>
          <button type="button" id="plot-heat" aria-pressed={isHeat} title="Time by series: a cell opens its flame graph" onClick={() => update({ plot: 'heat' }, 'replace')}>Heat map</button>
        </fieldset>
      </div>
      {isHeat && <Lazy load={loadHeat} />}
      <div class="timeline-body" hidden={isHeat}>
        <div class="plot" ref={host} tabIndex={0} role="application" aria-label="Timeline. Arrow keys select a range, with Shift they change its end, Enter uses it as the range, Escape clears it." onKeyDown={key} />
        <Marks />
        <p class="visually-hidden" aria-live="polite" id="picked-text">{picked ? `Selected ${formatRange(picked, now.value)}` : ''}</p>
        {data?.lines.length === 0 && !loading && <p class="nothing">no data in this range</p>}
        <Legend />
      </div>
    </section>
  );
}

function colourOf({ group, name, rest }: PlotLine): string {
  const fill = skinOf(theme.value).palette.fill;
  if (rest) return theme.value === 'dark' ? '#5b636f' : '#9aa2ad';
  return group === '' ? fill[0] : fillOf(fill, visible(group), name, hues.value);
}

/** The marks of the timeline in words. */
function Marks() {
  const all = marks.value;
  if (all.length === 0) return null;
  return (
    <ul class="visually-hidden" id="marks" aria-label="What happened in this range">
      {all.flatMap(({ marks: of }) => of).map((mark, i) => <li key={i}>{formatTime(mark.at, now.value)} {mark.text}</li>)}
    </ul>
  );
}

/** The series with their values: in the time bucket under the pointer, or in the whole range. */
function Legend() {
  const data = shaped.value;
  if (!data || data.grouped.length === 0) return null;
  const bucket = hovered.value;
  const label = data.grouped[0];
  const only = (group: string): void =>
    update({
      matchers: [
        ...state.value.matchers.filter((m) => m.name !== label),
        { name: label, op: '=', value: group === UNTAGGED ? '' : group },
      ],
      zoom: [],
    });
  const { pick: part } = state.value;
  const inside = (b: number): boolean => part === null || (data.times[b] + data.step > part.from && data.times[b] < part.until);
  const text = (line: PlotLine): string => {
    const value = bucket === null ? valueWithin(line, data.averaged, inside) : line.values[bucket];
    if (value === null || value === undefined) return '–';
    return bucket === null ? formatValue(value, data.unit) : formatRate(value, data.scale);
  };
  return (
    <ul class="legend">
      {data.lines.map((line) => {
        const swatch = <i style={{ background: colourOf(line) }} />;
        return (
          <li key={line.name}>
            {line.rest ? (
              <span class="entry" title="The sum of the smaller series">{swatch}<span>{line.name}</span></span>
            ) : (
              <button type="button" class="entry" title={`Filter by ${label}=${line.group}`} onClick={() => only(line.group)}>{swatch}<span>{line.name}</span></button>
            )}
            <b>{text(line)}</b>
          </li>
        );
      })}
      <li class="when">{bucket === null ? `${data.averaged ? 'average' : 'sum'} of the ${part ? 'selected' : 'whole'} range` : formatTime(data.times[bucket], now.value)}</li>
    </ul>
  );
}
