// The page in Chromium with a profile of a million nodes, and d3-flame-graph and speedscope with the same one in the same
// run. Each figure is the median of several runs, each in a browser of its own. Usage:
// node bench/browser.mjs [--nodes=1000000] [--runs=5] [--limit=SECONDS] [--only=lod,whole,d3,speedscope,server]
// [--davy=BINARY, to which the profile is pushed, for the first paint together with the server] [--dist, with the page of this
// folder instead of that of the binary]
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { loadavg } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { ISOLATED } from '../fixture/document.mjs';
import { serve } from '../fixture/server.mjs';
import { synthetic } from '../fixture/synthetic.mjs';
import { davy as startDavy, withPage } from './davy.mjs';

const option = (name, fallback) => Number(process.argv.find((a) => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback);
const NODES = option('nodes', 1_000_000);
const RUNS = option('runs', 5);
const LIMIT_MS = 1_000 * option('limit', 120);
const ONLY = process.argv.find((a) => a.startsWith('--only='))?.slice(7).split(',');
const DAVY = process.argv.find((a) => a.startsWith('--davy='))?.slice(7);
const PEERS = fileURLToPath(new URL('peers', import.meta.url));
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--enable-blink-features=ForceEagerMeasureMemory', '--js-flags=--expose-gc'];
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.json': 'application/json', '.wasm': 'application/wasm' };

if (!existsSync(join(PEERS, 'node_modules'))) execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: PEERS, stdio: 'inherit' });

/** The profile as the peers read it: nested objects, and speedscope's events. */
function forms() {
  const { columns: { self, frame, depth }, frames } = synthetic(NODES);
  const n = self.length;
  const sum = Float64Array.from(self);
  const stack = [];
  const parent = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    stack[depth[i]] = i;
    parent[i] = i === 0 ? 0 : stack[depth[i] - 1];
  }
  for (let i = n - 1; i > 0; i--) sum[parent[i]] += sum[i];
  const [nested, events] = [[], []];
  let at = 0;
  for (let i = 0; i < n; i++) {
    nested.push(`{"name":"${frames[frame[i]].name}","value":${sum[i]},"children":[`);
    if (i > 0) events.push(`{"type":"O","frame":${frame[i]},"at":${at}}`);
    at += self[i];
    const next = i + 1 < n ? depth[i + 1] : 0;
    for (let d = depth[i], k = i; d >= next && d >= 0; d--, k = parent[k]) {
      nested.push(']}');
      if (k > 0) events.push(`{"type":"C","frame":${frame[k]},"at":${at}}`);
      if (d === 0) break;
    }
    if (next > 0 && next <= depth[i]) nested.push(',');
  }
  const profile = { type: 'evented', name: 'big', unit: 'nanoseconds', startValue: 0, endValue: at, events: [] };
  const doc = JSON.stringify({ $schema: 'https://www.speedscope.app/file-format-schema.json', shared: { frames: frames.map(({ name }) => ({ name })) }, profiles: [profile] });
  return { nested: Buffer.from(nested.join('')), speedscope: Buffer.from(doc.replace('"events":[]', `"events":[${events.join(',')}]`)) };
}

const D3 = `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/node_modules/d3-flame-graph/dist/d3-flamegraph.css">
<div id="chart"></div><script src="/node_modules/d3/dist/d3.min.js"></script><script src="/node_modules/d3-flame-graph/dist/d3-flamegraph.umd.min.js"></script>
<script>fetch('/big.json').then((r) => r.json()).then((data) => {
  const chart = (flamegraph.default ?? flamegraph.flamegraph ?? flamegraph)().width(1600).cellHeight(18).minFrameSize(1).inverted(true);
  d3.select('#chart').datum(data).call(chart);
  window.chart = chart; requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now(); }));
});</script>`;

function peers() {
  const { nested, speedscope } = forms();
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://local').pathname;
    const send = (type, body) => response.writeHead(200, { 'content-type': type, ...ISOLATED }).end(body);
    try {
      if (path === '/d3.html') send('text/html', D3);
      else if (path === '/big.json') send('application/json', nested);
      else if (path === '/big.speedscope.json') send('application/json', speedscope);
      else if (path.startsWith('/node_modules/')) send(TYPES[extname(path)] ?? 'application/octet-stream', await readFile(join(PEERS, path)));
      else response.writeHead(404).end();
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((done) => { server.listen(0, '127.0.0.1', () => done({ server, url: `http://127.0.0.1:${server.address().port}` })); });
}

/** Counts what each animation frame costs the page: from its first callback until the page is idle again. */
function probe() {
  const channel = new MessageChannel();
  const costs = [];
  channel.port2.onmessage = ({ data }) => costs.push(performance.now() - data);
  const loop = () => {
    channel.port1.postMessage(performance.now());
    requestAnimationFrame(loop);
  };
  requestAnimationFrame(loop);
  globalThis.frameCosts = costs;
  globalThis.until = async (holds) => {
    const end = performance.now() + 30_000;
    while (!holds()) {
      if (performance.now() > end) throw new Error(`not within 30 s: ${holds}`);
      await new Promise((done) => setTimeout(done, 1));
    }
  };
  const watch = new MutationObserver(() => {
    if (!(Number(document.querySelector('.flame-host')?.dataset.drawn) > 3)) return;
    globalThis.painted ??= performance.now();
    globalThis.drawnAt = performance.now();
  });
  watch.observe(document, { subtree: true, attributeFilter: ['data-drawn'] });
}

const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const median = (values) => quantile(values, 0.5);

async function page(url) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  const tab = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  await tab.addInitScript(probe);
  // A browser that has just started is busy with pages of its own.
  await tab.waitForTimeout(2_000);
  await tab.goto(url, { waitUntil: 'commit' });
  return { browser, tab };
}

const painted = (tab) => tab.waitForFunction(() => globalThis.painted, null, { timeout: LIMIT_MS, polling: 100 }).then((h) => h.jsonValue());

/** The costs of the frames while something happens, of those that do anything. */
async function costs(tab, act) {
  await tab.evaluate(() => { globalThis.frameCosts.length = 0; });
  await act();
  return tab.evaluate(() => globalThis.frameCosts.slice());
}

/** The resident memory of the page's process after a collection of garbage: shared memory counts once. */
async function bytes(browser, tab) {
  await tab.evaluate(async () => {
    globalThis.gc?.();
    if (crossOriginIsolated) await performance.measureUserAgentSpecificMemory();
  });
  await tab.waitForTimeout(1_000);
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const sizes = await Promise.all(processInfo.filter(({ type }) => type === 'renderer').map(async ({ id }) => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) * 1024));
  return Math.max(...sizes);
}

/**
 * Zooms with the wheel. Ctrl is pressed once, as a person does: after each key, Chromium defers messages until the next frame,
 * and `probe` would count the interval of the display.
 */
async function wheelZoom(tab, box) {
  await tab.keyboard.down('Control');
  for (let i = 0; i < 24; i++) {
    await tab.mouse.move(box.x + box.width * (0.2 + 0.025 * i), box.y + 120);
    await tab.mouse.wheel(0, i % 12 < 8 ? -160 : 160);
    await tab.waitForTimeout(50);
  }
  await tab.keyboard.up('Control');
}

/** The time from an action until the next drawing. */
const redraw = (tab, act) => tab.evaluate(async (code) => {
  globalThis.drawnAt = 0;
  const began = performance.now();
  new Function(code)();
  await globalThis.until(() => globalThis.drawnAt > 0);
  return globalThis.drawnAt - began;
}, act);

const explore = (url, nodes, lod) => {
  const selector = `{service_name="big",nodes="${nodes}"${lod ? ',lod="true"' : ''}}`;
  return page(`${url}/explore?${new URLSearchParams({ type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', selector, by: '', from: 'now-1h', view: 'flame' })}`);
};

/** The memory of the page with a thousand nodes. */
async function empty(url) {
  const { browser, tab } = await explore(url, 1_000, false);
  await painted(tab);
  await tab.waitForTimeout(500);
  const all = await bytes(browser, tab);
  await browser.close();
  return all;
}

async function davy(url, lod, base) {
  const { browser, tab } = await explore(url, NODES, lod);
  const out = { paint: await painted(tab) };
  await tab.waitForTimeout(500);
  out.memory = ((await bytes(browser, tab)) - base) / NODES;
  const box = await tab.locator('.flame-host canvas').boundingBox();
  const zoom = await costs(tab, () => wheelZoom(tab, box));
  [out.zoom50, out.zoom95] = [quantile(zoom, 0.5), quantile(zoom, 0.95)];
  out.hover = await tab.evaluate(async () => {
    const canvas = document.querySelector('.flame-host canvas');
    const { left, top, width } = canvas.getBoundingClientRect();
    const times = [];
    for (let i = 0; i < 60; i++) {
      const began = performance.now();
      canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: left + (width * i) / 60, clientY: top + 20 + (i % 8) * 18, bubbles: true }));
      await new Promise((done) => { const { port1, port2 } = new MessageChannel(); port2.onmessage = done; port1.postMessage(0); });
      times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b)[30];
  });
  out.fold = await redraw(tab, "document.querySelector('#fold').click()");
  out.order = await redraw(tab, "[...document.querySelectorAll('button')].find((b) => b.textContent === 'A–Z').click()");
  out.search = await tab.evaluate(async () => {
    const field = document.querySelector('#search');
    field.focus();
    await new Promise((done) => setTimeout(done, 300));
    const began = performance.now();
    field.value = 'merge|flush';
    field.dispatchEvent(new InputEvent('input', { bubbles: true }));
    await globalThis.until(() => /\d%/.test(document.querySelector('#matched')?.textContent ?? ''));
    return performance.now() - began;
  });
  out.sandwich = await tab.evaluate(async () => {
    const canvas = document.querySelector('.flame-host canvas');
    canvas.focus();
    for (let i = 0; i < 4; i++) canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
    await new Promise((done) => setTimeout(done, 300));
    const began = performance.now();
    canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'c', bubbles: true }));
    await globalThis.until(() => document.querySelector('.frame-title') !== null);
    return performance.now() - began;
  });
  await browser.close();
  return out;
}

/** The first paint from a Davy that has merged nothing yet for a range, and from one that has; then what asks it for more. */
async function server(url) {
  const until = Date.now();
  const common = { type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', selector: '{service_name="big"}', by: '', view: 'flame' };
  const range = (until) => ({ from: String(until - 36e5), until: String(until) });
  const query = new URLSearchParams({ ...common, ...range(until) });
  const once = async (then = async () => ({})) => {
    const { browser, tab } = await page(`${url}/explore?${query}`);
    const paint = await painted(tab);
    const firstByte = await tab.evaluate(() => {
      const { requestStart, responseStart } = performance.getEntriesByType('resource').find(({ name }) => /profiles\/flamegraph/.test(name));
      return responseStart - requestStart;
    });
    const more = await then(tab);
    await browser.close();
    return { paint, firstByte, ...more };
  };
  const first = await once();
  const { paint: paintAgain, firstByte: firstByteAgain, ...more } = await once(async (tab) => {
    await tab.waitForTimeout(1_000);
    const table = await tab.evaluate(async () => {
      const began = performance.now();
      [...document.querySelectorAll('button')].find((b) => b.textContent === 'Both').click();
      await globalThis.until(() => document.querySelector('.top-table .tr') !== null);
      return performance.now() - began;
    });
    await tab.waitForTimeout(1_000);
    const regroup = await tab.evaluate(async () => {
      const began = performance.now();
      const field = document.querySelector('#by');
      field.value = 'worker';
      field.dispatchEvent(new Event('change', { bubbles: true }));
      const responded = () => performance.getEntriesByType('resource').find(({ name }) => /flamegraph.*by=worker/.test(name))?.responseEnd ?? Infinity;
      await globalThis.until(() => globalThis.drawnAt > responded());
      return globalThis.drawnAt - began;
    });
    return { table, regroup };
  });
  // Two trees that were not merged for this range.
  const { browser, tab } = await page(`${url}/compare?${new URLSearchParams({ ...common, ...range(until - 1), base_selector: '{service_name="other"}', base_from: String(until - 36e5), base_until: String(until - 1) })}`);
  const diff = await painted(tab);
  await browser.close();
  return { ...first, paintAgain, firstByteAgain, ...more, diff };
}

async function d3(url, base) {
  const { browser, tab } = await page(`${url}/d3.html`);
  const out = { paint: await painted(tab) };
  out.memory = ((await bytes(browser, tab)) - base) / NODES;
  const zoom = await costs(tab, async () => {
    for (let i = 0; i < 6; i++) {
      await tab.evaluate((nth) => {
        const all = [...document.querySelectorAll('g.frame')].filter((g) => g.getBoundingClientRect().width > 40);
        all[Math.min(all.length - 1, 3 + nth)]?.dispatchEvent(new MouseEvent('click', { bubbles: true }));
      }, i);
      await tab.waitForTimeout(1_200);
      await tab.evaluate(() => globalThis.chart.resetZoom());
      await tab.waitForTimeout(1_200);
    }
  });
  [out.zoom50, out.zoom95] = [quantile(zoom, 0.5), quantile(zoom, 0.95)];
  out.search = await tab.evaluate(() => {
    const began = performance.now();
    try {
      globalThis.chart.search('merge');
    } catch {
      // It is recursive, and large trees exceed the stack.
      return NaN;
    }
    return performance.now() - began;
  });
  await browser.close();
  return out;
}

async function speedscope(url, base) {
  const { browser, tab } = await page(`${url}/node_modules/speedscope/dist/release/index.html#profileURL=${encodeURIComponent(`${url}/big.speedscope.json`)}`);
  // Its toolbar has the name of the profile when the first view is drawn.
  await tab.waitForFunction(() => {
    if (!/big/.test(document.body.innerText) || document.querySelector('canvas') === null) return false;
    globalThis.painted ??= performance.now();
    return true;
  }, null, { timeout: LIMIT_MS, polling: 'raf' });
  const out = { paint: await painted(tab) };
  out.memory = ((await bytes(browser, tab)) - base) / NODES;
  const zoom = await costs(tab, () => wheelZoom(tab, { x: 0, y: 200, width: 1600 }));
  [out.zoom50, out.zoom95] = [quantile(zoom, 0.5), quantile(zoom, 0.95)];
  await browser.close();
  return out;
}

const fixture = await serve();
const other = await peers();
// The responses are encoded once.
for (const lod of ['', ',lod="true"']) await fetch(`${fixture.url}/api/v1/profiles/flamegraph?type=x&selector=${encodeURIComponent(`{service_name="big",nodes="${NODES}"${lod}}`)}`).then((r) => r.arrayBuffer());
const runs = { lod: [], whole: [], d3: [], speedscope: [], server: [] };
const real = DAVY === undefined ? null : await startDavy(DAVY, synthetic(NODES));
const front = real !== null && process.argv.includes('--dist') ? await withPage(real.url) : null;
const before = loadavg()[0];
const base = await empty(fixture.url);
for (let i = 0; i < RUNS; i++) {
  for (const [name, run] of [['lod', () => davy(fixture.url, true, base)], ['whole', () => davy(fixture.url, false, base)], ['d3', () => d3(other.url, base)], ['speedscope', () => speedscope(other.url, base)], ['server', () => server(front?.url ?? real.url)]]) {
    if (name === 'server' && real === null) continue;
    if (ONLY !== undefined && !ONLY.includes(name)) continue;
    try {
      runs[name].push(await run());
      console.error(name, JSON.stringify(runs[name].at(-1)));
    } catch (error) {
      console.error(`${name} failed: ${String(error).split('\n')[0]}`);
    }
  }
}
const ROWS = [
  ['first paint', 'paint', 'ms'], ['from request to first byte', 'firstByte', 'ms'],
  ['first paint of a view that was opened before', 'paintAgain', 'ms'], ['from its request to first byte', 'firstByteAgain', 'ms'],
  ['table of functions', 'table', 'ms'], ['another grouping', 'regroup', 'ms'], ['first paint of a comparison of two', 'diff', 'ms'],
  ['frame while zooming, p50', 'zoom50', 'ms'], ['frame while zooming, p95', 'zoom95', 'ms'], ['hover', 'hover', 'ms'],
  ['search to share, after the last key', 'search', 'ms'], ['callers and callees', 'sandwich', 'ms'], ['fold', 'fold', 'ms'], ['sort by name', 'order', 'ms'], ['memory of a node', 'memory', 'B'],
];
const cell = (name, key, unit) => {
  const values = runs[name].map((run) => run[key]).filter((value) => Number.isFinite(value));
  if (values.length === 0) return '';
  const value = median(values);
  return `${value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(2)} ${unit}`;
};
console.log(`\n${NODES.toLocaleString('en-US')} nodes, median of ${RUNS} runs, load average ${before.toFixed(1)} to ${loadavg()[0].toFixed(1)}\n`);
console.log('| figure | half a pixel fine | whole | d3-flame-graph | speedscope | half a pixel fine, with the server |\n|---|---|---|---|---|---|');
for (const [title, key, unit] of ROWS) console.log(`| ${title} | ${cell('lod', key, unit)} | ${cell('whole', key, unit)} | ${cell('d3', key, unit)} | ${cell('speedscope', key, unit)} | ${cell('server', key, unit)} |`);
fixture.server.close();
other.server.close();
front?.close();
await real?.stop();
