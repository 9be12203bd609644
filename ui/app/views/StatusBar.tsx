import { computed, signal } from '@preact/signals';
import { counted, formatRange, formatValue } from '../logic/format';
import { notDrawn, stacklessReason, totalNote } from '../logic/totals';
import { effective, ownNow, shown } from '../state/queries';
import { local, now, picked } from '../state/explore';
import { helpOpen } from '../state/help';
import type { DrawStats } from '../render/flame';

export const drawStats = signal<DrawStats | null>(null);

/** What no frame shows, in words. */
const undrawn = computed(() => {
  const loaded = shown.value;
  if (loaded === null) return [];
  return notDrawn(loaded.tree, loaded.frames.kinds, loaded.meta.unit).map((text) => (ownNow.value !== null ? text.replace('without a stack', 'without your own code') : text));
});

/** A component of its own: its text changes whenever the flame graph is drawn. */
function Drawn() {
  return drawStats.value === null ? null : <>, drawn in {drawStats.value.ms.toFixed(1)} ms</>;
}

export function StatusBar() {
  const loaded = shown.value;
  const range = local.value !== null ? null : (effective.value ?? picked.value);
  return (
    <footer class="status">
      {loaded && (range !== null || local.value !== null) && (
        <>
          <span>
            <b>{formatValue(loaded.tree.sum[0], loaded.meta.unit)}</b>
            <span id="aggregation" title={loaded.meta.aggregationSource === '' ? undefined : `According to ${loaded.meta.aggregationSource}`}>{totalNote(loaded.meta)}</span>{range !== null ? ` · ${formatRange(range, now.value)}` : ` · ${local.value?.format ?? ''}`}
            {loaded.meta.windows > 0 && loaded.meta.aggregation !== 'average' && <> · {counted(loaded.meta.windows, 'window')}</>}
            {undrawn.value.map((text) => <span key={text} title={text.startsWith('without a stack') ? stacklessReason(loaded.meta.type) : undefined}> · {text}</span>)}
          </span>
          <span class="quiet">
            {counted(loaded.tree.n, 'frame')}, laid out in {loaded.ms.toFixed(0)} ms<Drawn />
          </span>
        </>
      )}
      <span class="grow" />
      <span class="quiet keys">
        <kbd>/</kbd> search <kbd>←↑↓→</kbd> select <kbd>Enter</kbd> zoom in <kbd>Esc</kbd> zoom out <kbd>right click</kbd> menu
      </span>
      <button type="button" class="ghost help-button" id="help" title="Keys (?)" onClick={() => { helpOpen.value = true; }}>Keys <kbd>?</kbd></button>
    </footer>
  );
}
