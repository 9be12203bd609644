import type { Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { cutName } from '../logic/names';

interface OpenFile {
  kind: number;
  kinds: { label: string; unit: string }[];
}

/** Chooses one of the profiles of a file. */
export function KindPicker({ id, file, choose }: { id: string; file: OpenFile; choose: (kind: number) => void }) {
  return (
    <label class="field">
      <span>profile</span>
      <select id={id} value={String(file.kind)} disabled={file.kinds.length < 2} onChange={(e) => choose(Number(e.currentTarget.value))}>
        {file.kinds.map(({ label, unit }, i) => <option key={i} value={String(i)}>{cutName(label, 60)}{unit !== 'count' && ` (${unit})`}</option>)}
      </select>
    </label>
  );
}

/** Calls `open` with a file that is dropped on the page, and where. `dragged` says whether files are over the page. */
export function useFileDrop(dragged: Signal<boolean>, open: (file: File, on: EventTarget | null) => void): void {
  useEffect(() => {
    const hasFiles = (e: DragEvent): boolean => e.dataTransfer?.types.includes('Files') ?? false;
    const over = (e: DragEvent): void => {
      if (!hasFiles(e)) return;
      e.preventDefault();
      dragged.value = true;
    };
    const leave = (e: DragEvent): void => {
      if (e.relatedTarget === null) dragged.value = false;
    };
    const drop = (e: DragEvent): void => {
      if (!hasFiles(e)) return;
      e.preventDefault();
      dragged.value = false;
      const file = e.dataTransfer?.files[0];
      if (file) open(file, e.target);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
}
