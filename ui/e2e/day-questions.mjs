// The questions of an incident on a real Davy, with a day of a service that was pushed to it: by mouse, and by keyboard alone.
import assert from 'node:assert/strict';
import { pushDay, pushSpan } from './day.mjs';
import { begin, changesLoaded, param, press, tab, text, zoomedLink } from './questions.mjs';
import { drawn, row, shot } from './browser.mjs';

const ARCHIVE = (process.env.DAVY_ARCHIVE_URL ?? 'http://127.0.0.1:4040').replace(/\/$/, '');
/** A name of its own, so that the data of an earlier run is not counted. */
const SERVICE = `shop${Date.now().toString(36)}`;

let pushed = null;
const day = () => (pushed ??= pushDay(ARCHIVE, SERVICE, Date.now()));

const explore = (more = '') => `/explore?selector=${encodeURIComponent(`{service_name="${SERVICE}"}`)}${more}`;
const CPU = '&type=process_cpu:cpu:nanoseconds:cpu:nanoseconds';

/** Chooses an option of a list: its menu is not a part of the page. */
async function choose(page, way, id, option) {
  await page.locator(`${id} option`, { hasText: option }).first().waitFor({ state: 'attached' });
  if (way === 'mouse') await page.locator(id).selectOption({ label: option });
  else {
    await tab(page, id);
    await page.keyboard.type(option);
  }
  await page.waitForFunction(([of, name]) => document.querySelector(of).selectedOptions[0].textContent === name, [id, option]);
}

/** Clicks an element, or reaches it with Tab and presses Enter. */
async function use(page, way, selector) {
  await page.locator(selector).first().waitFor();
  if (way === 'mouse') return page.locator(selector).first().click();
  await tab(page, selector);
  return press(page, 'Enter');
}

const questions = (way) => [
  [`which member of a pushed service grew since yesterday, by ${way}`, async (browser, url) => {
    await day();
    const { page, faults } = await begin(browser, url, '/', way);
    await changesLoaded(page);
    await use(page, way, '#against-day');
    await use(page, way, '#measure-heap');
    await page.waitForFunction((name) => [...document.querySelectorAll('.changes tbody tr')].some((tr) => /grew/.test(tr.textContent) && tr.textContent.includes(name)), SERVICE);
    const grown = await page.locator('.changes tbody tr', { hasText: SERVICE }).first().innerText();
    assert.match(grown, /grew[\s\S]*api[\s\S]*Heap/);
    assert.doesNotMatch(grown, /Switch/, 'a member of another service is not toggled here');
    await shot(page, `day-grew-${way}`);
    const href = await page.locator('.changes tbody tr', { hasText: SERVICE }).first().locator('.diff').getAttribute('href');
    await use(page, way, `.changes .diff[href="${href}"]`);
    await drawn(page);
    assert.match(await text(page, '#verdict'), /compared with/);
    assert.match(await text(page, '.rank-table .tr'), /Cart::items/);
    await shot(page, `day-grew-diff-${way}`);
    assert.deepEqual(faults, []);
  }],

  [`which operation of a pushed service holds the heap, by ${way}`, async (browser, url) => {
    await day();
    const { page } = await begin(browser, url, '/explore', way);
    await drawn(page, 90_000);
    await choose(page, way, '#service', SERVICE);
    await choose(page, way, '#type', 'Heap in use');
    await choose(page, way, '#by', 'op');
    await drawn(page);
    if (way === 'mouse') {
      const [first] = await row(page, 1, 40);
      assert.equal(first.name, 'op=GetCart');
    } else {
      await tab(page, '.flame-host canvas');
      await press(page, 'ArrowDown');
      await page.waitForFunction(() => /^op=GetCart, .*7\d(\.\d)?% of total/.test(document.querySelector('#focused-frame')?.textContent ?? ''));
    }
    assert.equal(param(page, 'by'), 'op');
    await shot(page, `day-heap-${way}`);
  }],

  [`what calls the hottest function of a pushed service, by ${way}`, async (browser, url) => {
    await day();
    const { page } = await begin(browser, url, explore(CPU), way);
    await drawn(page);
    await use(page, way, '#view-sandwich');
    await page.locator('.tr .name').first().waitFor();
    assert.equal(await text(page, '.tr .name'), 'db::query');
    if (way === 'mouse') await page.locator('.tr').first().click();
    else {
      await tab(page, '.top-table .tbody');
      await press(page, 'Enter');
    }
    await page.locator('.sandwich-up canvas').waitFor();
    assert.equal(await text(page, '.frame-title strong'), 'db::query');
    assert.match(await text(page, '.frame-details'), /called by\s*2 call paths/);
    if (way === 'keyboard') {
      await tab(page, '.sandwich-up canvas');
      await press(page, 'ArrowUp');
      await page.waitForFunction(() => /^Callers: cart::get: .*7\d(\.\d)?% of the function/.test(document.querySelector('#sandwich-frame')?.textContent ?? ''));
    }
    await shot(page, `day-callers-${way}`);
  }],

  [`what changed between two versions of a pushed service, by ${way}`, async (browser, url) => {
    await day();
    const { page } = await begin(browser, url, explore(CPU), way);
    await drawn(page);
    await use(page, way, 'fieldset[aria-label="Range"] button[title*="7 days"]');
    await drawn(page);
    await use(page, way, '#compare-menu summary');
    await use(page, way, '.version-pair');
    await drawn(page);
    assert.match(await text(page, '.rank-table .tr'), /new[\s\S]*price::round/);
    await shot(page, `day-versions-${way}`);
  }],

  [`share a view of a pushed service, which is the same after more data, by ${way}`, async (browser, url) => {
    await day();
    const { page } = await begin(browser, url, explore(`${CPU}&fold=off&view=flame`), way);
    const link = await zoomedLink(page, url, way);
    const look = async (of) => ({
      total: await text(of, '.status b'), zoomed: await of.locator('.trail [aria-current]').getAttribute('title'),
      pixels: await of.evaluate(() => document.querySelector('.flame-host canvas').toDataURL()),
    });
    // What arrives later belongs to later times.
    const at = Date.now();
    await pushSpan(ARCHIVE, SERVICE, '1.2', at, at + 1, 1_000);
    const seen = [];
    for (let i = 0; i < 2; i++) {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'light' });
      const later = await context.newPage();
      await later.goto(link);
      await drawn(later);
      seen.push(await look(later));
      assert.equal(new URL(later.url()).search, new URL(link).search);
      await shot(later, `day-shared-${way}`);
      await context.close();
      await pushSpan(ARCHIVE, SERVICE, '1.2', Date.now(), Date.now() + 1, 1_000);
    }
    assert.deepEqual(seen[1], seen[0]);
    assert.deepEqual([await text(page, '.status b')], [seen[0].total]);
  }],
];

/** Checks for a running Davy that accepts profiles at DAVY_ARCHIVE_URL. */
export const dayQuestions = ['mouse', 'keyboard'].flatMap(questions);
