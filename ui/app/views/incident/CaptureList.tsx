import { useEffect } from 'preact/hooks';
import { captureUrl } from '../../api/captures';
import { formatTime, formatValue } from '../../logic/format';
import { captures, listProblem, load, said } from '../../state/captures';

/** The heaps that operators have captured. */
export function CaptureList() {
  useEffect(() => { void load(); }, []);
  const all = captures.value ?? [];
  if (all.length === 0 && listProblem.value === '' && said.value === '') return null;
  return (
    <section class="captures" aria-labelledby="captures-title">
      <h2 id="captures-title">Captured heaps</h2>
      {said.value !== '' && <p role="status" id="captured">{said.value}</p>}
      {listProblem.value !== '' && <p class="refused" id="captures-problem">Some captures could not be listed. {listProblem.value}</p>}
      {all.length > 0 && (
        <table>
          <thead>
            <tr><th scope="col">When</th><th scope="col">Process</th><th scope="col">Looked at</th><th scope="col" class="number">Live heap</th><th scope="col">By</th><th scope="col" class="reason">Reason</th><th scope="col">Open</th></tr>
          </thead>
          <tbody>
            {all.map((c) => (
              <tr key={c.id} class="capture">
                <td class="when">{formatTime(c.at, Date.now())}</td>
                <th scope="row" class="process">{c.process.kind} <span class="quiet">{c.process.pid} on {c.process.host}</span></th>
                <td class="looked">{[c.op, c.member].filter(Boolean).join(' · ')}</td>
                <td class="number heap">{formatValue(c.live_bytes, 'bytes')}</td>
                <td class="by"><bdi>{c.operator}</bdi></td>
                <td class="reason"><bdi>{c.why}</bdi></td>
                <td class="links"><a class="open" href={`./explore?capture=${c.id}`}>Flame graph</a> <a class="pprof" href={captureUrl(c.id)} download>pprof</a></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
