// The questions of an incident, from the first page of a browser to their answer: by mouse, and again by keyboard alone.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { drawn, open, row, shot } from './browser.mjs';

export const text = (page, selector) => page.locator(selector).first().innerText();
export const param = (page, name) => new URL(page.url()).searchParams.get(name);

/** A page on which nothing can be pointed at, or at which nothing can be typed. */
export async function begin(browser, url, path, way) {
  const { page, faults } = await open(browser, 'about:blank', { width: 1440, theme: 'light' });
  const refused = () => { throw new Error(`this journey is by ${way} alone`); };
  const others = way === 'mouse' ? { keyboard: ['press', 'type', 'down'] } : { mouse: ['click', 'move', 'down'] };
  for (const [device, names] of Object.entries(others)) for (const name of names) page[device][name] = refused;
  await page.goto(url + path);
  return { page, faults };
}

/** Presses Tab until the focus is on what matches. */
export async function tab(page, selector, back = false) {
  for (let i = 0; i < 150; i++) {
    await page.keyboard.press(back ? 'Shift+Tab' : 'Tab');
    if (await page.evaluate((of) => document.activeElement?.matches(of) ?? false, selector)) return;
  }
  throw new Error(`Tab does not reach ${selector}`);
}

export const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};

export const changesLoaded = (page) => page.locator('.changes tbody tr').first().waitFor();

/** Zooms into the first member, and returns the link that the page copies. */
export async function zoomedLink(page, url, way) {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
  await drawn(page);
  if (way === 'mouse') {
    const [first] = (await row(page, 1, 40)).filter((f) => f.name.startsWith('member='));
    await page.mouse.click(first.x, first.y);
    await page.waitForFunction(() => location.hash.includes('zoom='));
    await page.locator('#copy-link').click();
  } else {
    await tab(page, '.flame-host canvas');
    await press(page, 'ArrowDown', 'Enter');
    await page.waitForFunction(() => location.hash.includes('zoom='));
    await tab(page, '#copy-link');
    await press(page, 'Enter');
  }
  await page.locator('#copy-link', { hasText: 'Copied' }).waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
}

export const fixtureQuestions = [
  ['which member grew since yesterday, by mouse', async (browser, url) => {
    const { page, faults } = await begin(browser, url, '/', 'mouse');
    await changesLoaded(page);
    await page.locator('#against-day').click();
    await page.locator('#measure-heap').click();
    await page.waitForFunction(() => /grew/.test(document.querySelector('.changes tbody tr')?.textContent ?? ''));
    assert.match(await text(page, '.changes tbody tr'), /grew[\s\S]*api[\s\S]*Heap/);
    await page.locator('.changes tbody tr .diff').first().click();
    await drawn(page);
    assert.match(await text(page, '#verdict'), /compared with/);
    assert.deepEqual(faults, []);
  }],
  ['which member grew since yesterday, by keyboard', async (browser, url) => {
    const { page } = await begin(browser, url, '/', 'keyboard');
    await changesLoaded(page);
    await tab(page, '#against-day');
    await press(page, 'Enter');
    await tab(page, '#measure-heap');
    await press(page, 'Enter');
    await page.waitForFunction(() => /grew/.test(document.querySelector('.changes tbody tr')?.textContent ?? ''));
    assert.match(await text(page, '.changes tbody tr'), /grew[\s\S]*api[\s\S]*Heap/);
    await tab(page, '.changes .diff');
    await press(page, 'Enter');
    await drawn(page);
    assert.match(await text(page, '#verdict'), /compared with/);
  }],

  ['which operation holds the heap, by mouse', async (browser, url) => {
    const { page } = await begin(browser, url, '/', 'mouse');
    await page.getByRole('link', { name: 'Members' }).click();
    await page.locator('#by-operation').click();
    // The largest heap is first.
    await page.locator('tr.line', { hasText: 'ListAllJobs' }).first().waitFor();
    assert.match(await text(page, 'tr.line'), /ListAllJobs[\s\S]*[MG]iB/);
    await page.getByRole('link', { name: 'Heap flame graph of api ListAllJobs' }).click();
    await drawn(page);
    assert.match(param(page, 'selector'), /op="ListAllJobs"/);
  }],
  ['which operation holds the heap, by keyboard', async (browser, url) => {
    const { page } = await begin(browser, url, '/', 'keyboard');
    await tab(page, '.nav a[href*="members"]');
    await press(page, 'Enter');
    await page.locator('#by-operation').waitFor();
    await tab(page, '#by-operation');
    await press(page, 'Enter');
    await page.locator('tr.line', { hasText: 'ListAllJobs' }).first().waitFor();
    assert.match(await text(page, 'tr.line'), /ListAllJobs[\s\S]*[MG]iB/);
    await tab(page, 'a[aria-label="Heap flame graph of api ListAllJobs"], a[title="Heap flame graph of api ListAllJobs"]');
    await press(page, 'Enter');
    await drawn(page);
    assert.match(param(page, 'selector'), /op="ListAllJobs"/);
  }],

  ['what calls the hottest function, by mouse', async (browser, url) => {
    const { page } = await begin(browser, url, '/explore', 'mouse');
    await drawn(page);
    await page.locator('#view-sandwich').click();
    const name = await text(page, '.tr .name');
    await page.locator('.tr').first().click();
    await page.locator('.sandwich-up canvas').waitFor();
    assert.equal(await text(page, '.frame-title strong'), name);
    assert.match(await text(page, '.frame-details'), /called by\s*[\d,]+ call path/);
  }],
  ['what calls the hottest function, by keyboard', async (browser, url) => {
    const { page } = await begin(browser, url, '/explore', 'keyboard');
    await drawn(page);
    await tab(page, '#view-sandwich');
    await press(page, 'Enter');
    const name = await text(page, '.tr .name');
    await tab(page, '.top-table .tbody');
    await press(page, 'Enter');
    await page.locator('.sandwich-up canvas').waitFor();
    assert.equal(await text(page, '.frame-title strong'), name);
    await tab(page, '.sandwich-up canvas');
    await press(page, 'ArrowUp');
    await page.waitForFunction(() => /^Callers: .* of the function/.test(document.querySelector('#sandwich-frame')?.textContent ?? ''));
  }],

  ['what changed between two versions, by mouse', async (browser, url) => {
    const { page } = await begin(browser, url, '/explore', 'mouse');
    await drawn(page);
    await page.locator('#compare-menu summary').click();
    await page.locator('.version-pair').first().click();
    await drawn(page);
    assert.match(await text(page, '.rank-table .tr'), /new[\s\S]*davy_control::audit::Log::write/);
    await page.locator('.rank-table .tr').first().click();
    await page.locator('#matched', { hasText: 'matched' }).waitFor();
  }],
  ['what changed between two versions, by keyboard', async (browser, url) => {
    const { page } = await begin(browser, url, '/explore', 'keyboard');
    await drawn(page);
    await tab(page, '#compare-menu summary');
    await press(page, 'Enter');
    await page.locator('.version-pair').first().waitFor();
    await tab(page, '.version-pair');
    await press(page, 'Enter');
    await drawn(page);
    assert.match(await text(page, '.rank-table .tr'), /new[\s\S]*davy_control::audit::Log::write/);
    await tab(page, '.rank-table .tbody');
    await press(page, 'Enter');
    await page.locator('#matched', { hasText: 'matched' }).waitFor();
    await tab(page, '.flame-host canvas');
    await press(page, 'ArrowDown');
    await page.waitForFunction(() => /base .*depth \d/.test(document.querySelector('#focused-frame')?.textContent ?? ''));
  }],

  ...['mouse', 'keyboard'].map((way) => [`share this exact view, which is the same a week later, by ${way}`, async (browser) => {
    let now = Date.now();
    const { server, url } = await serve({ now: () => now, recorded: now });
    try {
      const { page } = await begin(browser, url, '/explore?fold=off&view=flame', way);
      const link = await zoomedLink(page, url, way);
      const shown = async (of) => ({ total: await text(of, '.status b'), range: /\(.*?\)/.exec(await text(of, '.status'))[0], zoomed: await of.locator('.trail [aria-current]').getAttribute('title') });
      const before = await shown(page);
      now += 7 * 86_400_000;
      const later = await browser.newPage({ viewport: { width: 1024, height: 700 } });
      await later.goto(link);
      await drawn(later);
      assert.deepEqual(await shown(later), before);
      await shot(later, 'shared');
    } finally {
      server.close();
    }
  }]),

  ['the content of each page is one Tab and one key away, and the parts of Explore one key', async (browser, url) => {
    const inside = (page, selector) => page.evaluate((of) => Boolean(document.activeElement?.closest(of)), selector);
    for (const [path, sign, part] of [['/', '.changes tbody tr', 'main'], ['/explore', '.flame-host[data-nodes]', 'canvas'], ['/compare', '.flame-host[data-nodes]', 'canvas'], ['/members', 'tr.line', 'main'], ['/fleet', 'main table', 'main'], ['/archive', 'main', 'main']]) {
      const { page } = await begin(browser, url, path, 'keyboard');
      await page.locator(sign).first().waitFor();
      await press(page, 'Tab');
      const skip = page.locator('.skip');
      assert.equal(await skip.evaluate((e) => e === document.activeElement && e.getBoundingClientRect().width > 50), true, path);
      if (path === '/explore') await shot(page, 'skip');
      await press(page, 'Enter');
      assert.equal(await inside(page, part), true, `${path} has the focus on ${await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 80))}`);
      assert.ok((await skip.boundingBox()).width <= 1, path);
      if (path === '/explore') {
        await press(page, 't');
        assert.equal(await inside(page, '.top-table .tbody'), true);
        await press(page, 'g', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'c');
        await page.locator('.frame-title').waitFor();
        await press(page, '/');
        assert.equal(await inside(page, '#search'), true);
        await press(page, 'g', 't');
        assert.equal(await page.locator('#search').inputValue(), 'gt');
      }
      await page.context().close();
    }
  }],
];
