import type { Resource } from '../state/resource';
import { problemText } from '../api/problem';
import { flame, replacedType, top, viewerProblem } from '../state/queries';
import { partial, resources } from '../state/status';
import { series } from '../state/timeline';
import { counted } from '../logic/format';
import { typeLabel } from '../logic/profiletypes';
import { zoom } from '../state/zoom';
import { update, state } from '../state/explore';

/** Failed requests, and what is missing from the shown responses. Failures with the same cause share a notice. */
export function Notices() {
  const failed = resources.filter(([, r]) => r.state.value.problem !== null);
  const groups = new Map<string, [string, Resource<unknown>][]>();
  for (const entry of failed) {
    const text = problemText(entry[1].state.value.problem!);
    groups.set(text, [...(groups.get(text) ?? []), entry]);
  }
  const waiting = resources.filter(([, r]) => r.state.value.loading && r.state.value.slow);
  const { missing, depth } = zoom.value;
  return (
    <div class="notices">
      {[...groups].map(([text, entries]) => (
        <p class="notice error" role="alert" key={text}>
          <span>
            <b>{entries.length > 2 ? 'Profiles' : entries.map(([name], i) => (i > 0 ? name.toLowerCase() : name)).join(' and ')} could not be loaded.</b> {text}
            {entries.some(([, r]) => r.state.value.data !== null) && ' Showing the last data received.'}
            {entries.some(([, r]) => r.state.value.retrying) && ' Retrying.'}
          </span>
          <button type="button" onClick={() => { for (const [, r] of entries) r.retry(); }}>Retry</button>
        </p>
      ))}
      {waiting.length > 0 && (
        <p class="notice info" role="status" id="slow">
          <span><b>{waiting.map(([name], i) => (i > 0 ? name.toLowerCase() : name)).join(' and ')}: no response yet.</b> The server may be busy, or the range is large. Shorten the range or filter to get a response sooner.</span>
          <button type="button" onClick={() => { for (const [, r] of waiting) r.cancel(); }}>Cancel</button>
        </p>
      )}
      {viewerProblem.value && <p class="notice error" role="alert"><span>{problemText(viewerProblem.value)}</span></p>}
      {partial.value.length > 0 && (
        <p class="notice partial" role="status" id="partial">
          <span><b>Incomplete data.</b> {partial.value.join(' ')}</span>
          <button type="button" onClick={() => { for (const r of [flame, series, top]) r.retry(); }}>Retry</button>
        </p>
      )}
      {replacedType.value && (
        <p class="notice info" role="status" id="replaced-type">
          <span>{replacedType.value.service} has no profiles of type “{typeLabel(replacedType.value.type)}” in this range. Showing “{typeLabel(state.value.type)}”.</span>
        </p>
      )}
      {missing > 0 && flame.state.value.data && (
        <p class="notice partial" role="status">
          <span>The zoomed frame is not in this profile{missing + depth > 1 && <> ({missing} of {counted(missing + depth, 'frame')} of its path {missing === 1 ? 'is' : 'are'} missing)</>}. Showing its nearest caller.</span>
          <button type="button" onClick={() => update({ zoom: state.value.zoom.slice(0, depth) })}>Keep this zoom</button>
        </p>
      )}
    </div>
  );
}
