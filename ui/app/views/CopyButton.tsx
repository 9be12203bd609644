import { useEffect, useRef, useState } from 'preact/hooks';

const COPIED_MS = 4_000;

/** Copies a link that shows the same later: with absolute times. */
export function CopyButton({ link }: { link: () => string | null }) {
  const [copied, setCopied] = useState(false);
  const [shown, setShown] = useState('');
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), COPIED_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  useEffect(() => field.current?.select(), [shown]);
  const copy = async (): Promise<void> => {
    const text = link();
    if (text === null) return;
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // Browsers allow this only to pages from https or localhost.
      setShown(text);
    }
  };
  return (
    <span class="anchor copy-link">
      <button type="button" id="copy-link" title="Copy a link to this view, with absolute times" onClick={() => void copy()}>{copied ? 'Copied' : 'Copy link'}</button>
      <span class="visually-hidden" role="status">{copied ? 'The link is in the clipboard' : ''}</span>
      {shown !== '' && (
        <span class="popover" onKeyDown={(e) => e.key === 'Escape' && setShown('')}>
          <input ref={field} readOnly value={shown} aria-label="Link to this view" onBlur={() => setShown('')} />
        </span>
      )}
    </span>
  );
}
