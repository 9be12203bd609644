import { useEffect, useRef } from 'preact/hooks';
import { signal } from '@preact/signals';
import type { SideName } from '../../logic/compare/sides';
import { ACCEPT, FORMATS } from '../../logic/files/limits';
import { cutName } from '../../logic/names';
import { chooseSide, closeSide, files, openSide } from '../../state/comparefiles';

const SIDE_TITLES: Record<SideName, string> = { now: 'Compared', base: 'Base' };

/** Picks a local file for a side. */
export function FileButton({ side }: { side: SideName }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" id={`${side}-open`} title={`Compare a profile from this computer: ${FORMATS}. It is not uploaded.`} aria-label={`Open file: ${SIDE_TITLES[side]}`} onClick={() => input.current?.click()}>Open file</button>
      <input
        ref={input} id={`${side}-file`} type="file" hidden accept={ACCEPT}
        onChange={(e) => {
          const file = e.currentTarget.files?.[0];
          e.currentTarget.value = '';
          if (file) void openSide(side, file);
        }}
      />
    </>
  );
}

/** A side that is a local file. */
export function FileSide({ side, children }: { side: SideName; children?: preact.ComponentChildren }) {
  const file = files.value[side]!;
  const title = SIDE_TITLES[side];
  return (
    <section class={`side side-${title.toLowerCase()}`} data-side={side} aria-label={title}>
      <b class="side-name">{title}</b>
      <span class="side-file" title={`${file.name}, ${file.format}, read by this page and not uploaded; a link does not contain it`}><bdi>{cutName(file.name, 60)}</bdi> <span class="quiet">{file.format}</span></span>
      <label class="field">
        <span>profile</span>
        <select id={`${side}-kind`} value={String(file.kind)} disabled={file.kinds.length < 2} onChange={(e) => void chooseSide(side, Number(e.currentTarget.value))}>
          {file.kinds.map(({ label, unit }, i) => <option key={i} value={String(i)}>{cutName(label, 60)}{unit !== 'count' && ` (${unit})`}</option>)}
        </select>
      </label>
      <span class="side-buttons">
        <FileButton side={side} />
        <button type="button" id={`${side}-close`} aria-label={`Close file: ${title}`} onClick={() => void closeSide(side)}>Close file</button>
        {children}
      </span>
    </section>
  );
}

const dragged = signal(false);

/** Opens a file that is dropped: on a side it becomes that side, elsewhere the base. */
export function SideDrop() {
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
      const on = e.target instanceof Element ? e.target.closest<HTMLElement>('[data-side]')?.dataset['side'] : undefined;
      if (file) void openSide(on === 'now' ? 'now' : 'base', file);
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
  return dragged.value ? <p class="drop-here drop-side" role="status">Drop a profile on a side to compare it. It is not uploaded.</p> : null;
}
