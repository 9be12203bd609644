// Chromium, and the steps that the checks share.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
export const ROW = 18;
/** A factor for the time that pages may take, for loaded machines. */
const PATIENCE = Number(process.env.PATIENCE ?? 1);

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** Opens a page and collects its console errors and uncaught exceptions. */
export async function open(browser, url, { theme = 'dark', width = 1600, height = 900 } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: theme });
  page.setDefaultTimeout(30_000 * PATIENCE);
  const faults = [];
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') faults.push(`console: ${m.text()}`);
  });
  page.on('pageerror', (e) => faults.push(`error: ${e.message}`));
  await page.goto(url, { waitUntil: 'commit' });
  return { page, faults };
}

/** Waits until a flame graph is loaded and drawn. */
export async function drawn(page, timeout = 15_000 * PATIENCE) {
  await page.waitForFunction(
    () => {
      const host = document.querySelector('.flame-host');
      const pane = document.querySelector('.flame-pane');
      return Number(host?.dataset.nodes ?? 0) > 5 && Number(host?.dataset.drawn ?? 0) > 3 && pane?.getAttribute('aria-busy') === 'false';
    },
    null,
    { timeout },
  );
  await settle(page);
}

/** Waits for the zoom animation and for debounced input. */
export const settle = (page) => page.waitForTimeout(400);

/** The share of the canvas that is not background, and the number of colours that cover a large part. */
export const pixels = (page) =>
  page.evaluate(() => {
    const canvas = document.querySelector('.flame-host canvas');
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, Math.min(height, 400));
    const background = `${data[data.length - 4]},${data[data.length - 3]},${data[data.length - 2]}`;
    const colours = new Map();
    for (let i = 0; i < data.length; i += 4 * 7) {
      const c = `${data[i]},${data[i + 1]},${data[i + 2]}`;
      colours.set(c, (colours.get(c) ?? 0) + 1);
    }
    const all = data.length / 28;
    const large = [...colours].filter(([c, n]) => c !== background && n > all / 500).length;
    return { filled: 1 - (colours.get(background) ?? 0) / all, large };
  });

/** The frames of a row from left to right: their names in tooltips, and a point within each. */
export async function row(page, depth, step = 12) {
  const box = await page.locator('.flame-host canvas').boundingBox();
  const up = await page.evaluate(() => document.querySelector('button[aria-label="Root at the bottom"]')?.getAttribute('aria-pressed'));
  const y = up === 'true' ? box.y + box.height - depth * ROW - ROW / 2 : box.y + depth * ROW + ROW / 2;
  const found = [];
  for (let x = box.x + 3; x < box.x + box.width - 2; x += step) {
    await page.mouse.move(x, y);
    const name = await page.evaluate(() => new Promise((done) => requestAnimationFrame(() =>
      done(document.querySelector('.tooltip strong')?.textContent ?? null))));
    if (name !== null && found.at(-1)?.name !== name) found.push({ name, x, y });
  }
  await page.mouse.move(2, 2);
  return found;
}

export async function shot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** Types a text to search for, and returns its share, which must be another one than those before. The page's clock may stand still. */
export async function shareOf(page, text, before) {
  await page.locator('#search').fill(text);
  let share = '';
  const deadline = Date.now() + 10_000;
  // Functions that the page is polled with need its clock.
  while ((share === '' || before.includes(share)) && Date.now() < deadline) share = await page.locator('#matched').textContent();
  if (share === '' || before.includes(share)) throw new Error(`${text} has the share ${share} after 10 s, as an earlier text`);
  return share;
}
