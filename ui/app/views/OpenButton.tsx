import { FORMATS } from '../logic/files/limits';
import { FilePicker } from './FilePicker';

// Few people open files.
const open = (file: File): void => { void import('../state/localfile').then(({ openFile }) => openFile(file)); };

export function OpenButton() {
  return <FilePicker id="open-file" inputId="file" title={`Open a profile from this computer: ${FORMATS}. It is not uploaded.`} open={open} />;
}
