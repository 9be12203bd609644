// Opens captured heaps, which few addresses name.

import { profile } from '../api/captures';
import { state, update } from './explore';
import { arrangement, fileProblem, opening, show } from './localfile';
import { askWorker } from './queries';

/** Opens the capture that the address names. Its profile comes from the bucket, not from this computer. */
export async function openCapture(id: string): Promise<void> {
  const name = `heap ${id}`;
  opening.value = name;
  try {
    const blob = await profile(id);
    const { zoom, transforms, search } = state.peek();
    show(`Captured heap ${id}`, await askWorker({ kind: 'open', buffer: await blob.arrayBuffer(), as: arrangement() }));
    update({ zoom, transforms, search }, 'replace');
  } catch (error) {
    update({ capture: '' }, 'replace');
    fileProblem.value = `The capture ${id} could not be opened: ${error instanceof Error ? error.message : String(error)}.`;
  }
  opening.value = '';
}
