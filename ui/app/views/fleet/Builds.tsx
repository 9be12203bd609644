import { useEffect, useRef } from 'preact/hooks';
import type { BuildRow } from '../../api/fleet';
import { commandOf, durationOf, endingOf, isOver, profileUrl, usageLines, usageOf, usageText } from '../../logic/fleet/rows';
import { counted } from '../../logic/format';
import { builds, ended, log, logState, now, show, usage, view } from '../../state/workers';
import { Word } from './Word';

export function Builds() {
  const rows = builds.value;
  const open = view.value.build;
  const isListed = rows.some((row) => row.id === open);
  return (
    <section aria-labelledby="builds-title" class="wide">
      <h2 id="builds-title">Builds</h2>
      {rows.length === 0 ? <p class="hint">No build. <code>davy execute -c task.yml</code> starts one.</p> : (
        <table id="builds" class="cards">
          <thead>
            <tr><th>Build</th><th>State</th><th>Command</th><th>Worker</th><th>By</th><th class="number">Duration</th><th class="number" title="CPU time and memory of its container, by its cgroup; those of a running build are at most 30 seconds old">Usage</th><th>Note</th><th>Log</th></tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <>
                <Row key={row.id} row={row} isOpen={row.id === open} />
                {row.id === open && <tr key={`log-${row.id}`} class="log-row"><td colSpan={9}><Log /></td></tr>}
              </>
            ))}
          </tbody>
        </table>
      )}
      {open > 0 && !isListed && <><h3>Build {open}</h3><Log /></>}
    </section>
  );
}

function Row({ row, isOpen }: { row: BuildRow; isOpen: boolean }) {
  const command = commandOf(row);
  const used = usageOf(row, usage.value.get(row.id));
  const profile = profileUrl(row);
  return (
    <tr class={isOver(row) ? 'over' : ''}>
      <td data-label="Build" class="name"><b>{row.id}</b></td>
      <td data-label="State"><Word state={row.state} /></td>
      <td data-label="Command" class="mono command" title={command}>{command}</td>
      <td data-label="Worker">{row.worker ?? '–'}</td>
      <td data-label="By">{row.created_by}</td>
      <td data-label="Duration" class="number">{durationOf(row, now())}</td>
      <td data-label="Usage" class="number usage" title={used === null ? '' : usageLines(used).join('\n')}>{used === null ? '–' : usageText(used)}</td>
      <td data-label="Note" class="ending" title={endingOf(row)}>{endingOf(row)}</td>
      <td data-label="Log"><button type="button" class="ghost" aria-expanded={isOpen} onClick={() => show({ build: isOpen ? 0 : row.id })}>{isOpen ? 'Close' : 'Log'}</button>{profile !== null && <span class="links"><a href={profile}>Flame graph</a></span>}</td>
    </tr>
  );
}

const STATES = { connecting: 'connecting', live: 'live', reconnecting: 'connection lost, reconnecting', over: 'the build is over' };

/** The log of the open build. It follows the end unless the reader has scrolled up. */
function Log() {
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  const { lines, dropped } = log.value;
  useEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  const last = ended.value;
  return (
    <div class="log">
      <p class="hint" role="status" id="log-state">
        {STATES[logState.value]}{last !== null && `: ${last.state}${endingOf(last) === '' ? '' : `, ${endingOf(last)}`}`}
        {dropped > 0 && ` · the first ${counted(dropped, 'line is', 'lines are')} not shown; davy builds logs prints all`}
      </p>
      <pre
        ref={box}
        id="log"
        tabIndex={0}
        aria-label="Log"
        onScroll={(e) => {
          const { scrollTop, scrollHeight, clientHeight } = e.currentTarget;
          follows.current = scrollTop + clientHeight >= scrollHeight - 8;
        }}
      >{lines.length === 0 ? (logState.value === 'over' ? '(no output)' : '') : lines.join('\n').replaceAll('\r', '')}</pre>
    </div>
  );
}
