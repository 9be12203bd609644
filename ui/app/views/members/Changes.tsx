import { formatTime } from '../../logic/format';
import { changeText } from '../../logic/members/actions';
import { ago } from '../../logic/members/notes';
import { changes, clock, serverNow } from '../../state/fleet';

/** The audit log, newest first. */
export function Changes() {
  const rows = changes.value;
  return (
    <section class="audit" aria-labelledby="changes-title">
      <h2 id="changes-title">Recent changes</h2>
      {rows === null ? <p class="hint">Loading…</p> : rows.length === 0 ? <p class="hint">No changes yet.</p> : (
        <table>
          <thead><tr><th>When</th><th>Operator</th><th>Target</th><th>Change</th><th>Reason</th><th>Source</th></tr></thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id}>
                <td class="when" title={formatTime(row.at, clock.value)}>{ago(row.at, serverNow.value)}</td>
                <td>{row.operator}</td>
                <td class="mono">{row.name}</td>
                <td>{changeText(row)}</td>
                <td class="why">{row.why ?? ''}</td>
                <td class="quiet">{row.source}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
