import { useState } from 'preact/hooks';
import { top as fetchTop, urlOf } from '../api/query';
import { formatRange, formatValue } from '../logic/format';
import { typeLabel } from '../logic/profiletypes';
import { grouping, keyOf, linkQuery, shown, top, topQuery } from '../state/queries';
import { local, service, state } from '../state/explore';
import { SvgContext } from '../render/svg';
import { currentFlame, savePng } from './FlamePane';

/** Offers a text as a download. */
function save(text: string, type: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const HTML_FUNCTIONS = 200;

async function saveHtml(address: string): Promise<void> {
  const loaded = shown.peek();
  const query = linkQuery.peek();
  const functions = topQuery.peek();
  if (loaded === null || query === null || functions === null) return;
  // The table that is not on the screen keeps the rows of an earlier query.
  const known = top.state.peek();
  const rows = known.key === keyOf(functions) ? known.data : null;
  const [response, table, { toHtml }] = await Promise.all([fetch(address), rows ?? fetchTop({ ...functions, limit: HTML_FUNCTIONS }, new AbortController().signal), import('../logic/export')]);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const { meta, tree } = loaded;
  const title = `${typeLabel(meta.type)} of ${service.peek() ?? meta.selector}`;
  const facts = [`Range: ${formatRange({ from: query.from, until: query.until }, 0)}`, `Selector: ${meta.selector}`, `Total: ${formatValue(tree.sum[0], meta.unit)}`, ...meta.partial.map((p) => `Incomplete: ${p}`)];
  const drawing = { svg: await response.text(), policy: response.headers.get('content-security-policy') ?? '' };
  save(toHtml(drawing, title, facts, table.functions.slice(0, HTML_FUNCTIONS), tree.sum[0], meta.unit), 'text/html', 'flamegraph.html');
}

async function saveSpeedscope(): Promise<void> {
  const { toSpeedscope } = await import('../logic/export');
  const loaded = shown.peek();
  if (loaded === null) return;
  const name = local.peek()?.name ?? `${service.peek() ?? 'profile'} ${typeLabel(loaded.meta.type)}`;
  save(toSpeedscope(loaded.tree, loaded.frames, loaded.meta, name), 'application/json', 'profile.speedscope.json');
}

/** The flame graph as it is on the screen. */
async function saveSvg(): Promise<void> {
  const flame = currentFlame();
  if (flame === null) return;
  const { width, height } = flame.size;
  const measure = document.createElement('canvas').getContext('2d')!;
  const svg = new SvgContext(width, height, (text) => {
    measure.font = svg.font;
    return measure.measureText(text);
  });
  flame.paintOn(svg as unknown as CanvasRenderingContext2D, width, height, 1);
  save(svg.text(document.title), 'image/svg+xml', 'flamegraph-view.svg');
}

/** The forms in which the shown profile can be saved. */
export function ExportLinks({ close }: { close: () => void }) {
  const [failed, setFailed] = useState('');
  const query = linkQuery.value;
  const by = grouping.value?.join(',') ?? '';
  const run = (work: Promise<void>): void => {
    setFailed('');
    work.then(close, (error: unknown) => setFailed(`The export failed: ${error instanceof Error ? error.message : String(error)}.`));
  };
  const hasCanvas = state.value.view === 'both' || state.value.view === 'flame';
  return (
    <>
        {query !== null && local.value === null && (
          <>
            <a href={urlOf('svg', { ...query, by })} download="flamegraph.svg">Standalone SVG</a>
            <a href={urlOf('pprof', { ...query, by })} download="profile.pb.gz">pprof</a>
            <a href={urlOf('folded', { ...query, by })} download="profile.folded">Folded stacks</a>
            <button type="button" id="export-html" onClick={() => run(saveHtml(urlOf('svg', { ...query, by })))}>HTML page for offline use</button>
          </>
        )}
        <button type="button" id="export-speedscope" title="The drawn frames in speedscope's format" onClick={() => run(saveSpeedscope())}>speedscope</button>
        {hasCanvas && <button type="button" id="export-png" onClick={() => { savePng(); close(); }}>PNG of this view</button>}
        {hasCanvas && <button type="button" id="export-svg-view" title="The flame graph as it is on the screen" onClick={() => run(saveSvg())}>SVG of this view</button>}
        <button type="button" id="print" onClick={() => { close(); setTimeout(print, 0); }}>Print…</button>
        {failed !== '' && <p class="hint bad" role="alert">{failed}</p>}
    </>
  );
}
