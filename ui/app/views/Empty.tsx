import { useEffect } from 'preact/hooks';
import { formatTime, typeLabel } from '../logic/format';
import { services, types } from '../state/data';
import { moving, now, picked, pick, refresh, selector, service, setRange, state, update } from '../state/explore';

const LOOK_AGAIN_MS = 5_000;

/** Nothing to draw: why, and how to change that. */
export function Empty({ reason }: { reason: 'nothing' | 'range' }) {
  const waits = moving.value && state.value.pick === null;
  useEffect(() => {
    if (!waits) return;
    const timer = setInterval(() => {
      refresh();
      services.retry();
      types.retry();
    }, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [waits]);
  const name = service.value ?? 'my-service';
  const others = (types.state.value.data ?? []).filter((id) => id !== state.value.type);
  const host = location.hostname || '127.0.0.1';
  return (
    <main class="empty">
      {reason === 'nothing' ? (
        <h2>No profiles have arrived in this range</h2>
      ) : (
        <>
          <h2>No {typeLabel(state.value.type)} profiles match</h2>
          <p>
            <code>{selector.value}</code>
            {picked.value && <> from {formatTime(picked.value.from, now.value)} until {formatTime(picked.value.until, now.value)}</>}
          </p>
        </>
      )}
      {waits && <p class="quiet">A Davy that has just started profiles itself and has something to show within a minute. This page looks again every {LOOK_AGAIN_MS / 1000} seconds.</p>}
      <p class="row">
        {state.value.pick && <button type="button" class="primary" onClick={() => pick(null)}>Whole timeline</button>}
        <button type="button" onClick={() => setRange('now-24h', 'now')}>Last 24 hours</button>
        <button type="button" onClick={() => setRange('now-7d', 'now')}>Last 7 days</button>
      </p>
      {others.length > 0 && (
        <p class="row">
          What there is:
          {others.map((id) => <button type="button" key={id} title={id} onClick={() => update({ type: id, zoom: [] })}>{typeLabel(id)}</button>)}
        </p>
      )}
      <h3>Push a profile</h3>
      <p>A pprof or folded file from any language:</p>
      <pre>davy push cpu.pb.gz --label service_name={name}</pre>
      <p>Without the binary, to the archiver:</p>
      <pre>{`printf 'main;handle;parse 42\\n' | curl --data-binary @- \\\n  'http://${host.includes(':') ? `[${host}]` : host}:4040/ingest?name=${name}&format=folded'`}</pre>
      <p>Agents that push to Pyroscope can be pointed at the same port.</p>
    </main>
  );
}
