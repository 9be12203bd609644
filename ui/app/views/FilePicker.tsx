import { useRef } from 'preact/hooks';
import { ACCEPT } from '../logic/files/limits';

interface Picker {
  id: string;
  inputId: string;
  title: string;
  label?: string;
  open: (file: File) => void;
}

/** A button that picks a local file. */
export function FilePicker({ id, inputId, title, label, open }: Picker) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" id={id} title={title} aria-label={label} onClick={() => input.current?.click()}>Open file</button>
      <input
        ref={input} id={inputId} type="file" hidden accept={ACCEPT}
        onChange={(e) => {
          const file = e.currentTarget.files?.[0];
          e.currentTarget.value = '';
          if (file) open(file);
        }}
      />
    </>
  );
}
