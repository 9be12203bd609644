import { pinned, toUrl } from '../logic/urlstate';
import { effective, grouping } from '../state/queries';
import { span, state } from '../state/explore';
import { CopyButton } from './CopyButton';

/** The address of what is shown, relative to the first page and with absolute times; null while nothing is. */
export function pinnedLink(): string | null {
  const range = effective.value ?? span.value;
  return range && `explore${toUrl(pinned(state.value, range, grouping.value ?? []))}`;
}

export function CopyLink() {
  const link = (): string | null => {
    const address = pinnedLink();
    return address && new URL(`./${address}`, document.baseURI).href;
  };
  return <CopyButton link={link} />;
}
