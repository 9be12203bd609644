import { formatDuration } from '../../logic/format';
import { USAGE_COLUMNS, type UsageColumn, usageColumn } from '../../logic/members/usage';
import { ACTIONS, actionsOf, isRestricted, isToggleable, toggleText } from '../../logic/members/actions';
import { type About, flameUrl } from '../../logic/members/flamelink';
import { NO_STATE, type TableLine, isIdle, stateText } from '../../logic/members/lines';
import { agoShort, factsOf, notesOf } from '../../logic/members/notes';
import { type VisibleLine, scaleFor } from '../../logic/members/order';
import { serverNow, service } from '../../state/fleet';
import { openOrClose, scales } from '../../state/membersview';
import { open as openForm, replies, toggleId } from '../../state/toggleform';
import { Sparkline } from './Sparkline';
import { StateWord } from './StateWord';
import { ToggleForm } from './ToggleForm';

/** The number of columns. */
export const COLUMNS = 7 + USAGE_COLUMNS.length;

/** A line with its notes and, if open, its form. */
export function LineRows({ line, depth, open, formOpen }: VisibleLine & { formOpen: boolean }) {
  const now = serverNow.value;
  const notes = notesOf(line, now);
  const reply = replies.value.get(line.key);
  const idle = line.kind === 'operation' && isIdle(line);
  const classes = ['line', line.kind, `depth-${depth}`, idle ? 'idle' : '', line.state === NO_STATE ? 'foreign' : '', open ? 'open' : ''];
  return (
    <>
      <tr class={classes.filter(Boolean).join(' ')} data-key={line.key}>
        <NameCell line={line} depth={depth} open={open} />
        <td class="state" title={since(line, now)}>{line.state !== '' && <StateWord state={line.state} count={line.inState} of={line.rows.length} />}</td>
        {USAGE_COLUMNS.map((f) => <UsageCell key={f.id} line={line} column={f} />)}
        <td class="trend"><Sparkline line={line} /></td>
        <td class="num restarts" data-label="Restarts">{restarts(line)}</td>
        <RunCell line={line} now={now} />
        <FlameCell line={line} />
        <td class="toggle">{isToggleable(line) || line.kind === 'operation' ? <ToggleButton line={line} formOpen={formOpen} /> : null}</td>
      </tr>
      {(notes.length > 0 || reply !== undefined) && (
        <tr class={`notes ${line.kind} depth-${depth}`}>
          <td colSpan={COLUMNS}>
            {reply !== undefined && <span class="note reply" role="status">{reply.text}</span>}
            {notes.map((note) => <span key={note.text} class={`note ${note.tone}`}>{note.text}</span>)}
          </td>
        </tr>
      )}
      {formOpen && <tr class="form-row"><td colSpan={COLUMNS}><ToggleForm /></td></tr>}
    </>
  );
}

/** Where a member runs, and its totals. */
export function FactRows({ line, depth }: VisibleLine) {
  return (
    <tr class={`facts depth-${depth}`}>
      <td colSpan={COLUMNS}>
        <dl>{factsOf(line, serverNow.value).map(({ name, text }) => <div key={name + text}><dt>{name}</dt><dd>{text}</dd></div>)}</dl>
      </td>
    </tr>
  );
}

function NameCell({ line, depth, open }: { line: TableLine; depth: number; open: boolean }) {
  const { kind, name, endpoint } = line;
  const title = endpoint === null ? undefined : `${endpoint.method} ${endpoint.path}\n${endpoint.summary}`;
  if (kind === 'member' && line.children.length > 0) {
    return (
      <th scope="row" class="name">
        <button type="button" aria-expanded={open} aria-label={`Operations of ${name}`} onClick={() => openOrClose(line.key)}>
          <i aria-hidden="true" class="twist" />{name}
        </button>
      </th>
    );
  }
  return (
    <th scope="row" class="name" title={title}>
      <span class="plain">
        {/* At the top level no other line names the member. */}
        {kind === 'operation' && depth === 0 && <span class="of">{line.member} / </span>}
        {name}
      </span>
    </th>
  );
}

function since({ kind, rows, state }: TableLine, now: number): string | undefined {
  if (kind !== 'member' || state === NO_STATE) return undefined;
  return rows.map((row) => `${row.process} on ${row.host}: ${stateText(row.state)} for ${formatDuration(Math.max(0, now - row.since))}`).join('\n');
}

function restarts(line: TableLine): string {
  if (line.kind === 'operation' || line.state === NO_STATE) return '';
  return String(line.rows.reduce((n, row) => n + row.restarts, 0));
}

function UsageCell({ line, column: f }: { line: TableLine; column: UsageColumn }) {
  const value = f.of(line.usage);
  const largest = scaleFor(line, scales.value)[f.id];
  const share = f.bar && largest > 0 ? Math.min(100, (value / largest) * 100) : 0;
  const error = f.id === 'heap' && line.usage.heap_error_bytes > 0 ? `, standard error ${usageColumn('heap').format(line.usage.heap_error_bytes)}` : '';
  const text = value === 0 && f.id !== 'heap' && f.id !== 'cpu' ? '–' : f.format(value);
  return (
    <td class={`num ${f.id}${value === 0 ? ' zero' : ''}`} data-label={f.label} title={`${f.title}: ${f.format(value)}${error}`}>
      {f.bar && <i style={{ width: `${share}%` }} />}
      <span>{text}</span>
    </td>
  );
}

function RunCell({ line, now }: { line: TableLine; now: number }) {
  const run = line.kind === 'member' ? (line.rows.find((row) => row.last_run !== null)?.last_run ?? null) : null;
  if (run === null) return <td class="num run" data-label="Last run" />;
  const when = run.at === null ? 'never' : agoShort(run.at, now);
  const failed = run.error !== null;
  return (
    <td class={run.stale || failed ? 'num run stale-run' : 'num run'} data-label="Last run">
      {run.stale ? 'stale: ' : failed ? 'failed: ' : ''}{when}
    </td>
  );
}

/** Links to Explore. The process name is a label of the profiles. */
function FlameCell({ line }: { line: TableLine }) {
  const about: About = {
    ...(line.process === null ? {} : { process: line.process }),
    ...(line.kind === 'process' ? {} : { member: line.member }),
    ...(line.op === null ? {} : { op: line.op }),
  };
  const subject = line.op === null ? line.name : `${line.member} ${line.op}`;
  return (
    <td class="flames">
      <a href={flameUrl(service.value, about, 'cpu')} aria-label={`CPU flame graph of ${subject}`}>CPU</a>
      <a href={flameUrl(service.value, about, 'heap')} aria-label={`Heap flame graph of ${subject}`}>Heap</a>
    </td>
  );
}

function ToggleButton({ line, formOpen }: { line: TableLine; formOpen: boolean }) {
  const now = line.toggle;
  if (now === null) return null;
  const kind = line.kind === 'operation' ? 'endpoint' : 'member';
  const text = toggleText(now);
  const actions = actionsOf(line).map((action) => ACTIONS[action].label.toLowerCase()).join(' or ');
  return (
    <button
      type="button"
      id={toggleId(line.key)}
      class={isRestricted(now) ? 'toggle-button restricted' : 'toggle-button'}
      aria-expanded={formOpen}
      aria-label={`${text}: toggle ${kind} ${line.name}`}
      title={`${text}; click to ${actions}`}
      onClick={() => openForm(line)}
    >
      <i aria-hidden="true" class={now.enabled ? 'knob enabled' : 'knob'} />{text}
    </button>
  );
}
