import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ACCEPT, FORMATS } from '../logic/files/limits';
import { cutName } from '../logic/names';
import { local } from '../state/explore';
import { chooseKind, closeFile, fileProblem, openFile, opening } from '../state/localfile';

export function OpenButton() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" id="open-file" title={`Open a profile from this computer: ${FORMATS}. It is not uploaded.`} onClick={() => input.current?.click()}>Open file</button>
      <input
        ref={input}
        id="file"
        type="file"
        hidden
        accept={ACCEPT}
        onChange={(e) => {
          const file = e.currentTarget.files?.[0];
          e.currentTarget.value = '';
          if (file) void openFile(file);
        }}
      />
    </>
  );
}

/** The open file, in place of service, type and range. */
export function FileBar() {
  const file = local.value!;
  return (
    <>
      <span class="local-name" title={`${file.name}, ${file.format}, read by this page and not uploaded`}><b><bdi>{cutName(file.name, 60)}</bdi></b></span>
      <label class="field">
        <span>profile</span>
        <select id="kind" value={String(file.kind)} disabled={file.kinds.length < 2} onChange={(e) => void chooseKind(Number(e.currentTarget.value))}>
          {file.kinds.map(({ label, unit }, i) => <option key={i} value={String(i)}>{cutName(label, 60)}{unit !== 'count' && ` (${unit})`}</option>)}
        </select>
      </label>
      <span class="grow" />
      <OpenButton />
      <button type="button" id="close-file" onClick={closeFile}>Close file</button>
    </>
  );
}

const dragged = signal(false);

/** Opens a file that is dropped anywhere on the page, and says why one could not be opened. */
export function DropTarget() {
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
      if (file) void openFile(file);
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
  return (
    <>
      {dragged.value && <p class="drop-here" role="status">Drop a profile to open it: {FORMATS}. It is not uploaded.</p>}
      {opening.value !== '' && <p class="notice info" role="status"><span>Opening {cutName(opening.value, 100)}…</span></p>}
      {fileProblem.value !== '' && (
        <p class="notice error" role="alert" id="file-problem"><span>{fileProblem.value}</span><button type="button" onClick={() => { fileProblem.value = ''; }}>Dismiss</button></p>
      )}
    </>
  );
}
