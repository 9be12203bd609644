import { useEffect, useRef } from 'preact/hooks';
import { fillOf } from '../logic/colours';
import { counted, formatShare, formatTime, formatValue } from '../logic/format';
import { cutName, groupValue, visible } from '../logic/names';
import { packageOf } from '../logic/packages';
import { formatRate } from '../logic/rates';
import { type PlotLine, valueWithin } from '../logic/timeline';
import { millis } from '../logic/units';
import { skinOf, theme } from '../render/skin';
import { local, now, pick, state, update } from '../state/explore';
import { ownTimeline, source } from '../state/functionfacts';
import { hues } from '../state/timeline';
import { ACTIONS, run } from '../state/transforms';
import { own } from '../state/viewer';
import type { Laid, Loaded } from '../worker/protocol';
import { Plot } from './plot';
import { SourceLink, SourceTable } from './SourceTable';

/** What is known about a function: its share, its own timeline, and where it is in the source. */
export function FunctionDetails({ laid, loaded: { meta, tree } }: { laid: Laid; loaded: Loaded }) {
  const { name, file, line, total, self, paths, groups } = laid;
  const pkg = packageOf(name, file);
  const whole = tree.sum[0];
  const facts = source.value?.facts ?? null;
  const isLocal = local.value !== null;
  const { lines } = state.value;
  const [code] = facts?.modules ?? [];
  const isOwn = own.value !== null && new RegExp(own.value).test(name);
  return (
    <div class="frame-details">
      <div class="frame-title">
        <strong><bdi>{cutName(name, 300)}</bdi></strong>
        <span class="frame-actions">
          {ACTIONS.filter((a) => a.ofFunction && a.id !== 'sandwich').map(({ id, label }) => (
            <button type="button" key={id} class="ghost" title={label} onClick={() => run(id, name)}>{{ focus: 'Focus', ignore: 'Ignore', hide: 'Hide', copy: 'Copy name' }[id as 'focus']}</button>
          ))}
          {!isLocal && <button type="button" id="source-lines" class="ghost" aria-pressed={lines} title="Totals by line of the source, and the build" onClick={() => update({ lines: !lines }, 'replace')}>Source lines</button>}
        </span>
      </div>
      <dl>
        <div><dt>total</dt><dd>{formatValue(total, meta.unit)} <b>{formatShare(total, whole)}</b></dd></div>
        <div><dt>self</dt><dd>{formatValue(self, meta.unit)} <b>{formatShare(self, whole)}</b></dd></div>
        <div><dt>called by</dt><dd>{counted(paths, 'call path')}</dd></div>
        {pkg !== '' && <div><dt>package</dt><dd>{cutName(pkg, 80)}{isOwn && ' (your own code)'}</dd></div>}
        {file !== '' && <div class="file"><dt>file</dt><dd title={file}><SourceLink of={{ file, line, version: facts?.lines[0]?.version ?? '' }}><bdi>{cutName(file, 300)}{line > 0 && `:${line}`}</bdi></SourceLink></dd></div>}
        {code !== undefined && <div class="file"><dt>module</dt><dd title={code.file}><bdi>{cutName(code.file, 300)}</bdi>{facts!.modules.length > 1 && ` and ${facts!.modules.length - 1} more`}</dd></div>}
        {code !== undefined && code.buildId !== '' && <div class="file"><dt>build id</dt><dd id="build-id" title={code.buildId}>{cutName(code.buildId, 64)}</dd></div>}
      </dl>
      {lines && !isLocal && <SourceTable unit={meta.unit} />}
      {isLocal ? <Groups groups={groups} total={total} label={meta.by[0] ?? 'group'} /> : <OwnTimeline groups={<Groups groups={groups} total={total} label={meta.by[0] ?? 'group'} />} />}
    </div>
  );
}

function Groups({ groups, total, label }: { groups: Laid['groups']; total: number; label: string }) {
  const fill = skinOf(theme.value).palette.fill;
  if (groups.length === 0) return null;
  return (
    <ul class="frame-groups" aria-label={`Share by ${label}`}>
      {groups.slice(0, 6).map(({ name: group, value }) => (
        <li key={group}>
          <i style={{ width: `${(100 * value) / total}%`, background: fill[(hues.value.get(groupValue(group)) ?? 0) * 3] }} />
          <span>{cutName(group, 60)}</span> <b>{formatShare(value, total)}</b>
        </li>
      ))}
      {groups.length > 6 && <li class="quiet">and {groups.length - 6} more</li>}
    </ul>
  );
}

const PLOT_HEIGHT = 92;

/** The function over time by member and operation, and their shares in the selected range. */
function OwnTimeline({ groups }: { groups: preact.ComponentChildren }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const data = ownTimeline.value;
  const isReady = data !== null && !('problem' in data);
  const picked = state.value.pick;
  useEffect(() => {
    plot.current = new Plot(host.current!, { picked: (from, until) => pick({ from: millis(from), until: millis(until) }), hovered: () => {} }, PLOT_HEIGHT);
    return () => plot.current?.dispose();
  }, []);
  useEffect(() => {
    if (!isReady) return;
    plot.current?.show({ times: data.times, step: data.step, lines: data.lines.map((one) => ({ ...one, colour: colourOf(one) })), stacked: true, scale: data.scale, range: { from: millis(data.range.from), until: millis(data.range.until) }, pick: picked, marks: [] });
  }, [data, picked, theme.value, hues.value]);
  const inside = (b: number): boolean => !isReady || picked === null || (data.times[b] + data.step > picked.from && data.times[b] < picked.until);
  const values = isReady ? data.lines.map((one) => valueWithin(one, data.averaged, inside) ?? 0) : [];
  const total = values.reduce((a, b) => a + b, 0);
  const isGrouped = isReady && data.by.length > 0 && data.lines.length > 0;
  return (
    <div class="own-timeline" aria-busy={data === null}>
      <div class="own-plot plot" hidden={data !== null && 'problem' in data} ref={host} role="img" aria-label={isReady ? summary(data.times, data.lines, (v) => formatRate(v, data.scale)) : 'Timeline of the function'} title={isReady ? `${data.scale.title} of the stacks with this function` : ''} />
      {data !== null && 'problem' in data && <p class="quiet own-problem">The timeline of the function is not available. {data.problem}</p>}
      {isReady && data.lines.length === 0 && <p class="quiet own-problem">No data in this range.</p>}
      {!isGrouped ? groups : (
        <ul class="frame-groups" aria-label={`Share by ${data.by.join(' and ')}`}>
          {data.lines.map((one, i) => (
            <li key={one.name}>
              <i style={{ width: `${total > 0 ? (100 * values[i]) / total : 0}%`, background: colourOf(one) }} />
              <span title={one.labels === null ? undefined : data.by.map((label) => `${label}=${one.labels![label] ?? ''}`).join(', ')}>{cutName(one.name, 60)}</span> <b>{formatShare(values[i], total)}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function colourOf({ group, name, rest }: PlotLine): string {
  const fill = skinOf(theme.value).palette.fill;
  if (rest) return theme.value === 'dark' ? '#5b636f' : '#9aa2ad';
  return group === '' ? fill[0] : fillOf(fill, visible(group), name, hues.value);
}

/** The timeline in words. */
function summary(times: number[], lines: PlotLine[], text: (value: number) => string): string {
  const sums = times.map((_, b) => (lines.every((one) => one.values[b] === null) ? null : lines.reduce((sum, one) => sum + (one.values[b] ?? 0), 0)));
  const most = sums.reduce<number>((at, value, b) => ((value ?? -1) > (sums[at] ?? -1) ? b : at), 0);
  const last = sums.findLast((value) => value !== null);
  if (last === undefined || last === null) return 'Timeline of the function: no data';
  return `Timeline of the function: ${text(last)} at the end, at most ${text(sums[most] ?? 0)} at ${formatTime(times[most], now.value)}`;
}
