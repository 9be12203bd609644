import { pinned, toUrl } from '../logic/urlstate';
import { effective, grouping } from '../state/queries';
import { span, state } from '../state/explore';
import { CopyButton } from './CopyButton';

export function CopyLink() {
  const link = (): string | null => {
    const range = effective.value ?? span.value;
    return range && new URL(toUrl(pinned(state.value, range, grouping.value ?? [])), location.href).href;
  };
  return <CopyButton link={link} />;
}
