// Opening and closing of local files. Nothing of them leaves the browser.

import { batch, signal } from '@preact/signals';
import { FILE_BYTES_MAX } from '../logic/files/limits';
import { formatValue } from '../logic/format';
import type { TimeSpan } from '../logic/subsecond';
import { filtersOf, shapesOf } from '../logic/transforms';
import type { Arrangement, Opened } from '../worker/protocol';
import { local, refresh, state, update } from './explore';
import { unfolded } from './folding';
import { askWorker, shown } from './queries';

/** Why the last file could not be opened; empty if it could. */
export const fileProblem = signal('');
export const opening = signal('');

export const arrangement = (): Arrangement => {
  const { order, fold, transforms } = state.peek();
  return { order, fold, open: unfolded.peek(), shapes: shapesOf(transforms), filters: filtersOf(transforms) };
};

export function show(name: string, { loaded, format, kinds, kind, offsets }: Opened, part: TimeSpan | null = null): void {
  batch(() => {
    local.value = { name, format, kinds, kind, offsets, part };
    fileProblem.value = '';
    shown.value = loaded;
  });
}

export async function openFile(file: File): Promise<void> {
  opening.value = file.name;
  try {
    if (file.size > FILE_BYTES_MAX) throw new Error(`it has ${formatValue(file.size, 'bytes')}, the maximum is ${formatValue(FILE_BYTES_MAX, 'bytes')}`);
    const buffer = await file.arrayBuffer();
    update({ capture: '', zoom: [], transforms: [], fn: '', pick: null, search: '', ...(state.peek().view === 'sandwich' ? { view: 'both' as const } : {}) });
    show(file.name, await askWorker({ kind: 'open', buffer, as: arrangement() }));
  } catch (error) {
    fileProblem.value = `${file.name} could not be opened: ${error instanceof Error ? error.message : String(error)}.`;
  }
  opening.value = '';
}

export async function chooseKind(kind: number): Promise<void> {
  const file = local.peek();
  if (file === null) return;
  try {
    const opened = await askWorker({ kind: 'choose', index: kind, part: null, as: arrangement() });
    update({ zoom: [] }, 'replace');
    show(file.name, opened);
  } catch (error) {
    fileProblem.value = error instanceof Error ? error.message : String(error);
  }
}

/** Shows a part of the time of the open profile, or all of it. */
export async function choosePart(part: TimeSpan | null): Promise<void> {
  const file = local.peek();
  if (file === null) return;
  try {
    show(file.name, await askWorker({ kind: 'choose', index: file.kind, part, as: arrangement() }), part);
  } catch (error) {
    fileProblem.value = error instanceof Error ? error.message : String(error);
  }
}

/** Shows the server's profiles again. */
export function closeFile(): void {
  batch(() => {
    local.value = null;
    shown.value = null;
    update({ capture: '', zoom: [], transforms: [], fn: '', search: '' });
  });
  refresh();
}
