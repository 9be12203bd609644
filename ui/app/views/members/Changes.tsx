import { formatTime } from '../../logic/format';
import { changeWords } from '../../logic/members/change';
import { ago } from '../../logic/members/notes';
import { changes, clock, serverNow } from '../../state/fleet';

/** Who changed what, when and why: the newest first. */
export function Changes() {
  const rows = changes.value;
  return (
    <section class="changes" aria-labelledby="changes-title">
      <h2 id="changes-title">Recent changes</h2>
      {rows === null ? <p class="hint">…</p> : rows.length === 0 ? <p class="hint">Nobody has toggled anything yet.</p> : (
        <table>
          <thead><tr><th>When</th><th>Who</th><th>What</th><th>Change</th><th>Why</th><th>By</th></tr></thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id}>
                <td class="when" title={formatTime(row.at, clock.value)}>{ago(row.at, serverNow.value)}</td>
                <td>{row.who}</td>
                <td class="mono">{row.name}</td>
                <td>{changeWords(row)}</td>
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
