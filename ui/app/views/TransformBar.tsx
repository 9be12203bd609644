import { describe } from '../logic/transforms';
import { state, update } from '../state/explore';
import { remove, said } from '../state/transforms';

/** The stack of transforms: each is removed on its own, and the browser's Back undoes the last. */
export function TransformBar() {
  const { transforms } = state.value;
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
          <span class="quiet">Percentages are of what is shown.</span>
        </div>
      )}
    </>
  );
}
