import { signal } from '@preact/signals';
import { FORMATS } from '../logic/files/limits';
import { cutName } from '../logic/names';
import { local } from '../state/explore';
import { KindPicker, useFileDrop } from './FileDrop';
import { OpenButton } from './OpenButton';
import { chooseKind, closeFile, fileProblem, openFile, opening } from '../state/localfile';

/** The open file, in place of service, type and range. */
export function FileBar() {
  const file = local.value!;
  return (
    <>
      <span class="local-name" title={`${file.name}, ${file.format}, read by this page and not uploaded`}><b><bdi>{cutName(file.name, 60)}</bdi></b></span>
      <KindPicker id="kind" file={file} choose={(kind) => void chooseKind(kind)} />
      <span class="grow" />
      <OpenButton />
      <button type="button" id="close-file" onClick={closeFile}>Close file</button>
    </>
  );
}

const dragged = signal(false);

/** Opens a file that is dropped anywhere on the page, and says why one could not be opened. */
export function DropTarget() {
  useFileDrop(dragged, (file) => void openFile(file));
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
