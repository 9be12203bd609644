import { useEffect, useState } from 'preact/hooks';
import { type From, inOrder, timeLinks, valuesLink } from '../logic/compare/urlstate';
import { UNTAGGED, cutName } from '../logic/names';
import { effective, grouping, labelNames, labelValues } from '../state/queries';
import { picked, state } from '../state/explore';
import { shaped } from '../state/timeline';

/** Versions, and values of the grouping label, that are offered against each other. */
const PAIRS = 4;

/** Links to comparisons with another time, of two versions, and of two members. */
export function CompareLinks() {
  const span = effective.value ?? picked.value;
  if (span === null) return null;
  const from: From = { type: state.value.type, matchers: state.value.matchers, span, by: grouping.value ?? [], allocators: state.value.allocators };
  return (
    <>
      {timeLinks(from).map(({ label, href }) => <a key={label} href={href}>{label}</a>)}
      <Versions from={from} />
      <Values from={from} />
    </>
  );
}

function Versions({ from }: { from: From }) {
  const [versions, setVersions] = useState<string[]>([]);
  const known = labelNames.value?.includes('version') ?? false;
  useEffect(() => {
    if (!known) return;
    const control = new AbortController();
    labelValues('version', control.signal).then((values) => setVersions(inOrder(values).slice(-PAIRS)), () => setVersions([]));
    return () => control.abort();
  }, [known]);
  return (
    <>
      {versions.slice(1).map((version, i) => (
        <a key={version} class="version-pair" href={valuesLink(from, 'version', version, versions[i])}>Version {version} with {versions[i]}</a>
      )).reverse()}
    </>
  );
}

/** The largest value of the grouping label against the next ones. */
function Values({ from }: { from: From }) {
  const data = shaped.value;
  const label = from.by[0];
  if (data === null || label === undefined || label === 'version' || data.grouped[0] !== label) return null;
  const values = [...new Set(data.lines.filter((line) => !line.rest).map((line) => line.group))].slice(0, PAIRS);
  const raw = (value: string): string => (value === UNTAGGED ? '' : value);
  return (
    <>
      {values.slice(1).map((value) => (
        <a key={value} class="value-pair" href={valuesLink(from, label, raw(values[0]), raw(value))}>{label} {cutName(values[0], 30)} with {cutName(value, 30)}</a>
      ))}
    </>
  );
}
