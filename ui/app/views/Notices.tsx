import type { Resource } from '../state/resource';
import { sentence } from '../api/problem';
import { everything, flame, partial, series, top, viewerProblem } from '../state/data';
import { zoom } from '../state/viewing';
import { update, state } from '../state/explore';

/** What failed, and what the answers on show lack. One failure that hit everything is said once. */
export function Notices() {
  const failed = everything.filter(([, r]) => r.state.value.problem !== null);
  const groups = new Map<string, [string, Resource<unknown>][]>();
  for (const entry of failed) {
    const text = sentence(entry[1].state.value.problem!);
    groups.set(text, [...(groups.get(text) ?? []), entry]);
  }
  const { missing, depth } = zoom.value;
  return (
    <div class="notices">
      {[...groups].map(([text, entries]) => (
        <p class="notice error" role="alert" key={text}>
          <span>
            <b>{entries.length > 2 ? 'Davy' : entries.map(([what]) => what).join(' and ')} could not answer.</b> {text}
            {entries.some(([, r]) => r.state.value.data !== null) && ' What is shown is from before.'}
          </span>
          <button type="button" onClick={() => { for (const [, r] of entries) r.retry(); }}>Retry</button>
        </p>
      ))}
      {viewerProblem.value && <p class="notice error" role="alert"><span>{sentence(viewerProblem.value)}</span></p>}
      {partial.value.length > 0 && (
        <p class="notice partial" role="status" id="partial">
          <span><b>This answer is not the whole.</b> {partial.value.join(' ')}</span>
          <button type="button" onClick={() => { for (const r of [flame, series, top]) r.retry(); }}>Ask again</button>
        </p>
      )}
      {missing > 0 && flame.state.value.data && (
        <p class="notice partial" role="status">
          <span>{missing} of the {missing + depth} zoomed frames {missing === 1 ? 'is' : 'are'} not in this answer; the nearest caller is shown.</span>
          <button type="button" onClick={() => update({ zoom: state.value.zoom.slice(0, depth) })}>Stay here</button>
        </p>
      )}
    </div>
  );
}
