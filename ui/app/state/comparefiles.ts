// Local files as sides of a comparison. They are not in the URL, since nothing of them leaves the browser.

import { signal } from '@preact/signals';
import { FILE_BYTES_MAX } from '../logic/files/limits';
import { formatValue } from '../logic/format';
import type { SideName } from '../logic/compare/sides';
import { TreeWorker } from '../worker/client';
import type { SideFile } from '../worker/protocol';

export const worker = new TreeWorker();

/** The files; `id` differs between two files of the same name. */
export const files = signal<Record<SideName, (SideFile & { id: number }) | null>>({ now: null, base: null });
/** Why the last file could not be opened; empty if it could. */
export const fileProblem = signal('');
let last = 0;

const set = (side: SideName, file: SideFile | null): void => { files.value = { ...files.peek(), [side]: file && { ...file, id: ++last } }; };

export async function openSide(side: SideName, file: File): Promise<void> {
  fileProblem.value = '';
  try {
    if (file.size > FILE_BYTES_MAX) throw new Error(`it has ${formatValue(file.size, 'bytes')}, the maximum is ${formatValue(FILE_BYTES_MAX, 'bytes')}`);
    set(side, await worker.ask({ kind: 'side', side, buffer: await file.arrayBuffer(), index: -1, name: file.name }));
  } catch (error) {
    fileProblem.value = `${file.name} could not be opened: ${error instanceof Error ? error.message : String(error)}.`;
  }
}

export async function chooseSide(side: SideName, index: number): Promise<void> {
  const { name } = files.peek()[side]!;
  set(side, await worker.ask({ kind: 'side', side, buffer: null, index, name }));
}

export async function closeSide(side: SideName): Promise<void> {
  set(side, await worker.ask({ kind: 'side', side, buffer: null, index: -1, name: '' }));
}

/** Exchanges the files together with the sides. */
export async function swapFiles(): Promise<void> {
  const { now, base } = files.peek();
  if (now === null && base === null) return;
  await worker.ask({ kind: 'swap' });
  files.value = { now: base, base: now };
}
