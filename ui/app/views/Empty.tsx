import { useEffect } from 'preact/hooks';
import { formatTime, typeLabel } from '../logic/format';
import { type Why, whyEmpty } from '../logic/emptiness';
import { filtersOf, parseSelector, withService } from '../logic/selector';
import { services, types } from '../state/data';
import { moving, now, picked, pick, refresh, selector, service, setRange, state, update } from '../state/explore';

const LOOK_AGAIN_MS = 5_000;
/** So many services are offered in the place of one that there is not. */
const OFFERED = 20;

/** Nothing to draw: why, and how to change that. */
export function Empty() {
  const filtered = filtersOf(state.value.matchers).length > 0;
  const { unread, type } = state.value;
  const known = services.state.value.data;
  const why = whyEmpty({ unread, service: service.value, type, filtered, services: known, types: types.state.value.data });
  const waits = why !== 'selector' && moving.value && state.value.pick === null;
  useEffect(() => {
    if (!waits) return;
    const timer = setInterval(() => {
      refresh();
      services.retry();
      types.retry();
    }, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [waits]);
  const others = (types.state.value.data ?? []).filter((id) => id !== type);
  return (
    <main class="empty" data-why={why}>
      <Head why={why} />
      {waits && (
        <p class="quiet">
          {why === 'nothing' && 'A Davy that has just started profiles itself and has something to show within a minute. '}
          This page looks again every {LOOK_AGAIN_MS / 1000} seconds.
        </p>
      )}
      {why !== 'selector' && (
        <p class="row">
          {state.value.pick && <button type="button" class="primary" onClick={() => pick(null)}>Whole timeline</button>}
          {filtered && why !== 'service' && <button type="button" id="no-filter" onClick={() => update({ matchers: state.value.matchers.filter((m) => !filtersOf([m]).includes(m)) })}>Without the filters</button>}
          <button type="button" onClick={() => setRange('now-24h', 'now')}>Last 24 hours</button>
          <button type="button" onClick={() => setRange('now-7d', 'now')}>Last 7 days</button>
        </p>
      )}
      {(why === 'service' || why === 'selector') && known !== null && known.length > 0 && (
        <p class="row">
          Services that there are:
          {known.slice(0, OFFERED).map((name) => <button type="button" key={name} onClick={() => update({ matchers: withService(name), zoom: [] })}>{name}</button>)}
          {known.length > OFFERED && <span class="quiet">and {known.length - OFFERED} more</span>}
        </p>
      )}
      {why !== 'selector' && why !== 'service' && others.length > 0 && (
        <p class="row">
          What there is:
          {others.map((id) => <button type="button" key={id} title={id} onClick={() => update({ type: id, zoom: [] })}>{typeLabel(id)}</button>)}
        </p>
      )}
      {(why === 'nothing' || why === 'service') && <Push />}
    </main>
  );
}

function Head({ why }: { why: Why }) {
  const { type, unread } = state.value;
  const range = picked.value && <> from {formatTime(picked.value.from, now.value)} until {formatTime(picked.value.until, now.value)}</>;
  const asked = <p><code>{selector.value}</code>{range}</p>;
  const parsed = parseSelector(unread);
  switch (why) {
    case 'selector':
      return (
        <>
          <h2>The selector in the address cannot be read</h2>
          <p><code>{unread}</code></p>
          <p role="alert">{parsed.ok ? '' : `${parsed.error}. `}A selector is like <code>{'{service_name="davy",member="api"}'}</code>; correct it in the field above.</p>
        </>
      );
    case 'nothing':
      return <h2>No profiles have arrived in this range</h2>;
    case 'service':
      return (
        <>
          <h2>No service {service.value} has sent profiles in this range</h2>
          {asked}
        </>
      );
    case 'type':
      return (
        <>
          <h2>{service.value ?? 'These services'} sent no {type === '' ? '' : `${typeLabel(type)} `}profiles in this range</h2>
          {asked}
        </>
      );
    case 'sampled':
      return (
        <>
          <h2>Nothing of it was sampled</h2>
          {asked}
          <p>The heap is sampled: one allocation in every 512 KiB by default. What holds or allocates less than some MiB may not show at all.</p>
        </>
      );
    case 'match':
      return (
        <>
          <h2>No {typeLabel(type)} profiles match</h2>
          {asked}
        </>
      );
  }
}

function Push() {
  const name = service.value ?? 'my-service';
  const host = location.hostname || '127.0.0.1';
  return (
    <>
      <h3>Push a profile</h3>
      <p>A pprof or folded file from any language:</p>
      <pre>davy push cpu.pb.gz --label service_name={name}</pre>
      <p>Without the binary, to the archiver:</p>
      <pre>{`printf 'main;handle;parse 42\\n' | curl --data-binary @- \\\n  'http://${host.includes(':') ? `[${host}]` : host}:4040/ingest?name=${name}&format=folded'`}</pre>
      <p>Agents that push to Pyroscope can be pointed at the same port.</p>
    </>
  );
}
