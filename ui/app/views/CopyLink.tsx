import { useEffect, useRef, useState } from 'preact/hooks';
import { effective, grouping } from '../state/queries';
import { span, state } from '../state/explore';
import { pinned, toUrl } from '../logic/urlstate';

const COPIED_MS = 4_000;

/** Copies a link that shows the same later: with absolute times. */
export function CopyLink() {
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
    const range = effective.value ?? span.value;
    if (range === null) return;
    const link = new URL(toUrl(pinned(state.value, range, grouping.value ?? [])), location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      setCopied(true);
    } catch {
      // Browsers allow this only to pages from https or localhost.
      setShown(link);
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
