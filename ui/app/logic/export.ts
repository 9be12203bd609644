// Exports that the page writes itself.

import type { FunctionRow } from '../api/types';
import { type Frames, type Meta } from './decode';
import { formatShare, formatValue } from './format';
import type { Tree } from './layout';

const SPEEDSCOPE_UNITS = new Set(['nanoseconds', 'microseconds', 'milliseconds', 'seconds', 'bytes']);

/** The drawn frames in speedscope's format, as events, whose number grows with the frames and not with the depth. */
export function toSpeedscope(tree: Tree, { names, files, lines }: Frames, meta: Meta, name: string): string {
  const frames = names.map((text, f) => ({ name: text, ...(files[f] === '' ? {} : { file: files[f] }), ...(lines[f] > 0 ? { line: lines[f] } : {}) }));
  const events: { type: 'O' | 'C'; frame: number; at: number }[] = [];
  const open: number[] = [];
  for (let i = 1; i < tree.n; i++) {
    while (open.length > 0 && tree.end[open[open.length - 1]] <= i) close(open.pop()!);
    if (tree.sum[i] === 0) continue;
    events.push({ type: 'O', frame: tree.frame[i], at: tree.start[i] });
    open.push(i);
  }
  while (open.length > 0) close(open.pop()!);
  function close(i: number): void {
    events.push({ type: 'C', frame: tree.frame[i], at: tree.start[i] + tree.sum[i] });
  }
  return JSON.stringify({
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    exporter: 'davy', name, activeProfileIndex: 0, shared: { frames },
    profiles: [{ type: 'evented', name, unit: SPEEDSCOPE_UNITS.has(meta.unit) ? meta.unit : 'none', startValue: 0, endValue: tree.sum[0], events }],
  });
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** The style of the file. A drawing that is taller than the window begins at its root. */
export const STYLE = 'body{margin:16px;font:14px/1.4 system-ui,sans-serif;color-scheme:light dark}#graph{display:flex;flex-direction:column-reverse;max-height:80vh;overflow:auto}#graph>svg{flex:none}table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right}td:last-child,th:last-child{text-align:left;font-family:monospace;overflow-wrap:anywhere}';
export const STYLE_HASH = "'sha256-RD2B/EP0OFP1j38nH2YeDL+q7YdAzfrvt5pVJwUbFR4='";

const HASHES = /'sha256-[\w+/=]+'/g;

/** The policy of the file, from that of the drawing: nothing is loaded, and no script runs but that of the drawing. Without hashes there is no such policy. */
function policyOf(served: string): string {
  const of = (directive: string, own: string): string => {
    const hashes = served.split(';').find((part) => part.trim().startsWith(`${directive} `))?.match(HASHES);
    if (!hashes) throw new Error(`the response has no hashes of its ${directive.replace('-src', '')} in the header Content-Security-Policy. A proxy may remove the header: configure it to pass the header on, or export "Standalone SVG"`);
    return [...hashes, own].join(' ').trim();
  };
  return `default-src 'none'; script-src ${of('script-src', '')}; style-src ${of('style-src', STYLE_HASH)}; base-uri 'none'; form-action 'none'`;
}

/** A drawing of the server, and the policy that came with it. */
export interface Drawing {
  svg: string;
  policy: string;
}

/** One HTML file that works from disk: the interactive drawing of the server, what it shows, and the functions with the largest self values. */
export function toHtml({ svg, policy }: Drawing, title: string, facts: string[], rows: FunctionRow[], total: number, unit: string): string {
  const drawing = svg.slice(Math.max(0, svg.indexOf('<svg')));
  const lines = rows.map(({ name, self, total: all }) =>
    `<tr><td>${escaped(formatValue(self, unit))}</td><td>${escaped(formatShare(self, total))}</td><td>${escaped(formatValue(all, unit))}</td><td>${escaped(name)}</td></tr>`);
  const table = lines.length === 0 ? '' : `<h2>Functions with the largest self values</h2>
<table><thead><tr><th>self</th><th>share</th><th>total</th><th>function</th></tr></thead><tbody>${lines.join('\n')}</tbody></table>
`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${escaped(policyOf(policy))}"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>
<style>${STYLE}</style></head>
<body><h1>${escaped(title)}</h1><ul>${facts.map((fact) => `<li>${escaped(fact)}</li>`).join('')}</ul>
<p>A click or Enter zooms into a frame, Escape zooms out, Ctrl+F searches by regular expression, and arrow keys go from frame to frame.</p>
<div id="graph">${drawing}</div>
${table}</body></html>
`;
}
