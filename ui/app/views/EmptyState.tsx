import { useEffect } from 'preact/hooks';
import { formatRange } from '../logic/format';
import { type EmptyReason, emptyReason } from '../logic/emptystate';
import { describe } from '../logic/transforms';
import { typeLabel } from '../logic/profiletypes';
import { curlPush, davyPush } from '../logic/pushexample';
import { filtersOf, forService, parseSelector, withService } from '../logic/selector';
import { matchingServices, services, types } from '../state/queries';
import { now, pick, picked, refresh, relativeRange, selector, service, setRange, state, update } from '../state/explore';

const RETRY_MS = 5_000;
const SERVICES_OFFERED = 20;

/** Shown if there is nothing to draw: the reason, and how to change it. */
export function EmptyState() {
  const filters = filtersOf(state.value.matchers);
  const { invalidSelector, type, matchers } = state.value;
  const known = services.state.value.data;
  const matching = matchingServices.value;
  const reason = emptyReason({
    invalidSelector, service: service.value, type, filtered: filters.length > 0, services: known, types: types.state.value.data, matching,
  });
  const needsChoice = reason === 'selector' || reason === 'services';
  const retries = !needsChoice && relativeRange.value && state.value.pick === null;
  useEffect(() => {
    if (!retries) return;
    const timer = setInterval(() => {
      refresh();
      services.retry();
      types.retry();
    }, RETRY_MS);
    return () => clearInterval(timer);
  }, [retries]);
  const otherTypes = (types.state.value.data ?? []).filter((id) => id !== type);
  const offered = reason === 'services' ? matching : reason === 'service' || reason === 'selector' ? known : null;
  return (
    <div class="empty" data-reason={reason}>
      <Explanation reason={reason} />
      {retries && (
        <p class="quiet">
          {reason === 'nothing' && 'Davy profiles itself; its first profile appears after about ten seconds. '}
          This page refreshes every {RETRY_MS / 1000} seconds.
        </p>
      )}
      {!needsChoice && (
        <p class="row">
          {state.value.pick && <button type="button" class="primary" onClick={() => pick(null)}>Whole timeline</button>}
          {state.value.transforms.length > 0 && <button type="button" class="primary" id="no-transforms" onClick={() => update({ transforms: [] })}>Remove “{state.value.transforms.map(describe).join('”, “')}”</button>}
          {filters.length > 0 && reason !== 'service' && <button type="button" id="no-filter" onClick={() => update({ matchers: matchers.filter((m) => !filters.includes(m)) })}>Remove filters</button>}
          <button type="button" onClick={() => setRange('now-24h', 'now')}>Last 24 hours</button>
          <button type="button" onClick={() => setRange('now-7d', 'now')}>Last 7 days</button>
        </p>
      )}
      {offered !== null && offered.length > 0 && (
        <p class="row">
          {reason === 'services' ? 'Choose a service:' : 'Available services:'}
          {offered.slice(0, SERVICES_OFFERED).map((name) => (
            <button type="button" key={name} onClick={() => update({ matchers: reason === 'services' ? forService(name, matchers) : withService(name), zoom: [] })}>{name}</button>
          ))}
          {offered.length > SERVICES_OFFERED && <span class="quiet">and {offered.length - SERVICES_OFFERED} more</span>}
        </p>
      )}
      {!needsChoice && reason !== 'service' && otherTypes.length > 0 && (
        <p class="row">
          Available profile types:
          {otherTypes.map((id) => <button type="button" key={id} title={id} onClick={() => update({ type: id, zoom: [] })}>{typeLabel(id)}</button>)}
        </p>
      )}
      {(reason === 'nothing' || reason === 'service') && <Push />}
    </div>
  );
}

function Explanation({ reason }: { reason: EmptyReason }) {
  const { type, invalidSelector } = state.value;
  const range = picked.value && <> {formatRange(picked.value, now.value)}</>;
  const query = <p><code>{selector.value}</code>{range}</p>;
  const parsed = parseSelector(invalidSelector);
  switch (reason) {
    case 'selector':
      return (
        <>
          <h2>Invalid selector in the URL</h2>
          <p><code>{invalidSelector}</code></p>
          <p role="alert">{parsed.ok ? '' : `${capitalized(parsed.error)}. `}Example: <code>{'{service_name="davy",member="api"}'}</code>. Correct the selector in the field above.</p>
        </>
      );
    case 'nothing':
      return <h2>No profiles in this range</h2>;
    case 'services':
      return (
        <>
          <h2>The selector matches several services</h2>
          {query}
          <p>A flame graph shows one service.</p>
        </>
      );
    case 'service':
      return (
        <>
          <h2>No profiles of service {service.value} in this range</h2>
          {query}
        </>
      );
    case 'type':
      return (
        <>
          <h2>{type === '' ? 'No profiles in this range' : `No profiles of type “${typeLabel(type)}” in this range`}</h2>
          {query}
        </>
      );
    case 'unsampled':
      return (
        <>
          <h2>No samples match</h2>
          {query}
          <p>Heap profiles are sampled: by default one allocation per 512 KiB. Code that holds or allocates less than a few MiB may have no samples.</p>
        </>
      );
    case 'match':
      return (
        <>
          <h2>No “{typeLabel(type)}” profiles match</h2>
          {query}
        </>
      );
  }
}

const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function Push() {
  const name = service.value ?? 'my-service';
  return (
    <>
      <h3>Push a profile</h3>
      <p>Push a profile file (pprof, folded stacks, JFR and others):</p>
      <pre>{davyPush(name)}</pre>
      <p>Without the <code>davy</code> binary, send it to the archiver at <code>archive.listen</code>, whose port is 4040 by default:</p>
      <pre>{curlPush(name, location.hostname)}</pre>
      <p>The archiver responds after it has stored the profile: 0.2 s, or up to <code>archive.flush_interval</code> (5 s) under load. Pyroscope agents can push to the same port.</p>
    </>
  );
}
