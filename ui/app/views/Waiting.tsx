import { useEffect, useState } from 'preact/hooks';
import { SLOW_MS } from '../state/resource';

/** What is shown until the first response arrives, and after some seconds that none has. */
export function Waiting({ text = 'Loading…' }: { text?: string }) {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, []);
  return <p class="hint pad" role="status">{text}{isSlow && ' No response yet: the server may be busy, or the connection has stalled. The page retries after a timeout.'}</p>;
}
