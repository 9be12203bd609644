import { undrawnOwn } from '../logic/totals';
import { describe } from '../logic/transforms';
import { local, state, update } from '../state/explore';
import { remove, said } from '../state/transforms';
import { ownNow, shown } from '../state/queries';
import { rules } from '../state/viewer';

/** The stack of transforms: each is removed on its own, and the browser's Back undoes the last. */
export function TransformBar() {
  const { transforms } = state.value;
  const isMine = transforms.some(({ kind }) => kind === 'mine');
  const isOwn = ownNow.value !== null;
  const atMost = isOwn && shown.value !== null ? undrawnOwn(shown.value.tree) : '';
  // Local files have no service.
  const isGuessed = isMine && !isOwn && local.value === null && rules.value !== null;
  return (
    <>
      <span class="visually-hidden" role="status">{said.value}</span>
      {transforms.length > 0 && (
        <div class="transforms" role="group" aria-label="Transforms">
          {transforms.map((t, i) => {
            const text = describe(t);
            return (
              <span class="chip" key={text}>
                <span class="chip-text" title={text}><bdi>{text}</bdi></span>
                <button type="button" class="x" aria-label={`Remove: ${text}`} onClick={() => remove(i)}>×</button>
              </span>
            );
          })}
          <button type="button" class="ghost" id="clear-transforms" onClick={() => update({ transforms: [] })}>Clear</button>
          <span class="quiet">{isOwn ? 'Percentages are of the whole. Other code counts for the caller that is yours, or for the root.' : 'Percentages are of what is shown.'}</span>
          {atMost !== '' && <span class="quiet" id="own-undrawn" title="Frames of less than half a pixel were left out before your code was looked for. Zoom in or filter to draw them">{atMost}</span>}
          {isGuessed && <span class="quiet" id="no-own">Standard libraries, dependencies and runtimes are hidden. To say which code is yours, set <code>own</code> of a rule in <code>[[viewer.services]]</code>.</span>}
        </div>
      )}
    </>
  );
}
