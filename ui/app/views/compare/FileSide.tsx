import { signal } from '@preact/signals';
import type { SideName } from '../../logic/compare/sides';
import { FORMATS } from '../../logic/files/limits';
import { cutName } from '../../logic/names';
import { KindPicker, useFileDrop } from '../FileDrop';
import { FilePicker } from '../FilePicker';
import { chooseSide, closeSide, files, openSide } from '../../state/comparefiles';

const SIDE_TITLES: Record<SideName, string> = { now: 'Compared', base: 'Base' };

/** Picks a local file for a side. */
export function FileButton({ side }: { side: SideName }) {
  return (
    <FilePicker
      id={`${side}-open`} inputId={`${side}-file`} label={`Open file: ${SIDE_TITLES[side]}`}
      title={`Compare a profile from this computer: ${FORMATS}. It is not uploaded.`} open={(file) => void openSide(side, file)}
    />
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
      <KindPicker id={`${side}-kind`} file={file} choose={(kind) => void chooseSide(side, kind)} />
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
  useFileDrop(dragged, (file, target) => {
    const on = target instanceof Element ? target.closest<HTMLElement>('[data-side]')?.dataset['side'] : undefined;
    void openSide(on === 'now' ? 'now' : 'base', file);
  });
  return dragged.value ? <p class="drop-here drop-side" role="status">Drop a profile on a side to compare it. It is not uploaded.</p> : null;
}
