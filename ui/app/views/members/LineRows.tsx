import { formatDuration } from '../../logic/format';
import { FIGURES, type FigureColumn, figure } from '../../logic/members/usage';
import { ACTIONS, actionsOf, isCut, isToggleable, toggleWord } from '../../logic/members/change';
import { type About, flameAddress } from '../../logic/members/flamelink';
import { NO_STATE, type Line, isIdle } from '../../logic/members/lines';
import { agoShort, factsOf, notesOf } from '../../logic/members/notes';
import { type Placed, mostFor } from '../../logic/members/order';
import { serverNow, service } from '../../state/fleet';
import { most, toggle } from '../../state/membersview';
import { open as openForm, said, toggleId } from '../../state/toggling';
import { Sparkline } from './Sparkline';
import { StateWord } from './StateWord';
import { ToggleForm } from './ToggleForm';

/** Cells of a line, name to toggle. */
export const COLUMNS = 7 + FIGURES.length;

/** A line, what it has to say, and the form that is open under it. */
export function LineRows({ line, depth, open, asked }: Placed & { asked: boolean }) {
  const now = serverNow.value;
  const notes = notesOf(line, now);
  const answer = said.value.get(line.key);
  const idle = line.kind === 'operation' && isIdle(line);
  const classes = ['line', line.kind, `depth-${depth}`, idle ? 'idle' : '', line.state === NO_STATE ? 'foreign' : '', open ? 'open' : ''];
  return (
    <>
      <tr class={classes.filter(Boolean).join(' ')} data-key={line.key}>
        <NameCell line={line} depth={depth} open={open} />
        <td class="state" title={since(line, now)}>{line.state !== '' && <StateWord state={line.state} count={line.inState} of={line.rows.length} />}</td>
        {FIGURES.map((f) => <FigureCell key={f.id} line={line} figure={f} />)}
        <td class="trend"><Sparkline line={line} /></td>
        <td class="num restarts" data-label="Restarts">{restarts(line)}</td>
        <RunCell line={line} now={now} />
        <FlameCell line={line} />
        <td class="toggle">{isToggleable(line) || line.kind === 'operation' ? <ToggleButton line={line} asked={asked} /> : null}</td>
      </tr>
      {(notes.length > 0 || answer !== undefined) && (
        <tr class={`notes ${line.kind} depth-${depth}`}>
          <td colSpan={COLUMNS}>
            {answer !== undefined && <span class="note answer" role="status">{answer.text}</span>}
            {notes.map((note) => <span key={note.text} class={`note ${note.tone}`}>{note.text}</span>)}
          </td>
        </tr>
      )}
      {asked && <tr class="asking"><td colSpan={COLUMNS}><ToggleForm /></td></tr>}
    </>
  );
}

/** Where a member runs and what it has cost in all. */
export function FactRows({ line, depth }: Placed) {
  return (
    <tr class={`facts depth-${depth}`}>
      <td colSpan={COLUMNS}>
        <dl>{factsOf(line, serverNow.value).map(({ name, text }) => <div key={name + text}><dt>{name}</dt><dd>{text}</dd></div>)}</dl>
      </td>
    </tr>
  );
}

function NameCell({ line, depth, open }: { line: Line; depth: number; open: boolean }) {
  const { kind, name, endpoint } = line;
  const title = endpoint === null ? undefined : `${endpoint.method} ${endpoint.path}\n${endpoint.summary}`;
  if (kind === 'member' && line.children.length > 0) {
    return (
      <th scope="row" class="name">
        <button type="button" aria-expanded={open} aria-label={`${name}: its operations`} onClick={() => toggle(line.key)}>
          <i aria-hidden="true" class="twist" />{name}
        </button>
      </th>
    );
  }
  return (
    <th scope="row" class="name" title={title}>
      <span class="plain">
        {/* Nothing above the line says whose operation it is. */}
        {kind === 'operation' && depth === 0 && <span class="of">{line.member} / </span>}
        {name}
      </span>
    </th>
  );
}

function since({ kind, rows, state }: Line, now: number): string | undefined {
  if (kind !== 'member' || state === NO_STATE) return undefined;
  return rows.map((row) => `${row.process} on ${row.host}: ${row.state} for ${formatDuration(Math.max(0, now - row.since))}`).join('\n');
}

function restarts(line: Line): string {
  if (line.kind === 'operation' || line.state === NO_STATE) return '';
  return String(line.rows.reduce((n, row) => n + row.restarts, 0));
}

function FigureCell({ line, figure: f }: { line: Line; figure: FigureColumn }) {
  const value = f.of(line.usage);
  const largest = mostFor(line, most.value)[f.id];
  const share = f.bar && largest > 0 ? Math.min(100, (value / largest) * 100) : 0;
  const error = f.id === 'heap' && line.usage.heap_error_bytes > 0 ? `, standard error ${figure('heap').format(line.usage.heap_error_bytes)}` : '';
  const text = value === 0 && f.id !== 'heap' && f.id !== 'cpu' ? '–' : f.format(value);
  return (
    <td class={`num ${f.id}${value === 0 ? ' zero' : ''}`} data-label={f.label} title={`${f.title}: ${f.format(value)}${error}`}>
      {f.bar && <i style={{ width: `${share}%` }} />}
      <span>{text}</span>
    </td>
  );
}

function RunCell({ line, now }: { line: Line; now: number }) {
  const run = line.kind === 'member' ? (line.rows.find((row) => row.last_run !== null)?.last_run ?? null) : null;
  if (run === null) return <td class="num run" data-label="Last run" />;
  const when = run.at === null ? 'never' : agoShort(run.at, now);
  const failed = run.error !== null;
  return (
    <td class={run.stale || failed ? 'num run late' : 'num run'} data-label="Last run">
      {run.stale ? 'late, ' : failed ? 'failed, ' : ''}{when}
    </td>
  );
}

/** What Explore is asked for: the processes' names stand in the profiles' labels. */
function FlameCell({ line }: { line: Line }) {
  const about: About = {
    ...(line.process === null ? {} : { process: line.process }),
    ...(line.kind === 'process' ? {} : { member: line.member }),
    ...(line.op === null ? {} : { op: line.op }),
  };
  const whose = line.op === null ? line.name : `${line.member} ${line.op}`;
  return (
    <td class="flames">
      <a href={flameAddress(service.value, about, 'cpu')} aria-label={`CPU flame graph of ${whose}`}>CPU</a>
      <a href={flameAddress(service.value, about, 'heap')} aria-label={`Heap flame graph of ${whose}`}>heap</a>
    </td>
  );
}

function ToggleButton({ line, asked }: { line: Line; asked: boolean }) {
  const now = line.toggle;
  if (now === null) return null;
  const what = line.kind === 'operation' ? 'endpoint' : 'member';
  const word = toggleWord(now);
  const can = actionsOf(line).map((action) => ACTIONS[action].label.toLowerCase()).join(', ');
  return (
    <button
      type="button"
      id={toggleId(line.key)}
      class={isCut(now) ? 'toggle cut' : 'toggle'}
      aria-expanded={asked}
      aria-label={`Toggle ${what} ${line.name}, which is ${word}`}
      title={`${word}; ${can}…`}
      onClick={() => openForm(line)}
    >
      <i aria-hidden="true" class={now.enabled ? 'knob on' : 'knob'} />{word}
    </button>
  );
}
