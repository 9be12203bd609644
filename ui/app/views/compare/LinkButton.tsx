import { pinnedUrl } from '../../state/compare';
import { CopyButton } from '../CopyButton';

/** Copies a link to this comparison, with absolute times. */
export function LinkButton() {
  return <CopyButton link={() => new URL(pinnedUrl(), location.href).href} />;
}
