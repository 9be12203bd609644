// Checks for any Davy that profiles itself, and for the fixture.
import assert from 'node:assert/strict';
import { drawn, open, pixels, row, settle, shot } from './browser.mjs';

/** A Davy that just started needs a few windows first. */
const READY_TIMEOUT_MS = 90_000;

async function ready(browser, url, path = '/explore', options = {}) {
  const { page, faults } = await open(browser, url + path, options);
  await drawn(page, READY_TIMEOUT_MS);
  return { page, faults };
}

const text = (page, selector) => page.locator(selector).innerText();
const address = (page) => new URL(page.url());

export const common = [
  ['the page opens without errors and shows a flame graph of davy', async (browser, url) => {
    const { page, faults } = await ready(browser, url);
    const services = await page.locator('#service option').allInnerTexts();
    assert.ok(services.includes('davy'), `expected davy among the services, got ${services.join(', ')}`);
    assert.equal(await page.locator('#service').inputValue(), 'davy');
    const { filled, large } = await pixels(page);
    assert.ok(filled > 0.1, `only ${(filled * 100).toFixed(1)}% of the canvas is covered`);
    assert.ok(large >= 3, `only ${large} colours`);
    assert.deepEqual(faults, []);
    await shot(page, 'explore');
  }],

  ['the default view groups by member', async (browser, url) => {
    const { page } = await ready(browser, url);
    const answer = await page.request.get(`${url}/api/v1/profiles/labels?name=member&selector=${encodeURIComponent('{service_name="davy"}')}&from=now-1h&until=now`);
    const members = await answer.json();
    assert.ok(members.length >= 2, `expected several members, got ${members.join(', ')}`);
    const groups = (await row(page, 1)).map((f) => f.name);
    const named = groups.filter((g) => g.startsWith('member=')).map((g) => g.slice(7));
    assert.ok(new Set(named).size >= 2, `expected several members in the first row, got ${groups.join(', ')}`);
    for (const name of named) assert.ok(name === '(untagged)' || members.includes(name), `unknown member ${name}`);
    const legend = await page.locator('.legend .entry').allInnerTexts();
    assert.ok(legend.length >= 2, 'the timeline has a legend of members');
  }],

  ['a search shows how much of the profile matches', async (browser, url) => {
    const { page } = await ready(browser, url);
    await page.keyboard.press('/');
    await page.keyboard.type('poll|run|main');
    // What was typed is searched for when the typing pauses, which on a slow machine is also before its end.
    await page.waitForFunction(() => new URLSearchParams(location.search).get('search') === 'poll|run|main');
    await page.waitForFunction(() => /\d%\s*matched/.test(document.querySelector('#matched')?.textContent ?? ''));
    const share = Number.parseFloat(await text(page, '#matched b'));
    assert.ok(share > 0 && share <= 100, `${share}% matched`);
    await shot(page, 'search');
  }],

  ['dragging over the timeline selects a range, and Escape clears the selection', async (browser, url) => {
    const { page } = await ready(browser, url, '/explore?from=now-1h');
    const before = await text(page, '.status b');
    const over = await page.locator('.plot-over').boundingBox();
    const y = over.y + over.height / 2;
    await page.mouse.move(over.x + over.width * 0.7, y);
    await page.mouse.down();
    await page.mouse.move(over.x + over.width * 0.8, y, { steps: 5 });
    await page.mouse.move(over.x + over.width - 4, y, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => new URLSearchParams(location.search).has('pick'));
    await drawn(page);
    const [from, until] = address(page).searchParams.get('pick').split('-').map(Number);
    assert.ok(until - from > 10 * 60_000 && until - from < 25 * 60_000, `selected ${(until - from) / 60_000} minutes of an hour`);
    await page.locator('#picked').waitFor();
    await shot(page, 'picked');
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !new URLSearchParams(location.search).has('pick'));
    await drawn(page);
    assert.ok(before.length > 0);
  }],

  ['a click zooms, and a reload restores the state from the URL', async (browser, url) => {
    const { page } = await ready(browser, url);
    const [first] = (await row(page, 1)).filter((f) => f.name.startsWith('member='));
    await page.mouse.click(first.x, first.y);
    await page.waitForFunction(() => location.hash.includes('zoom='));
    await page.locator('#search').fill('poll');
    await page.locator('button', { hasText: 'A–Z' }).click();
    await page.locator('#view-flame').click();
    await settle(page);
    const zoomed = () => page.locator('.trail [aria-current]').getAttribute('title');
    assert.equal(await zoomed(), first.name);
    await page.mouse.move(2, 2);
    await shot(page, 'zoomed');
    const there = page.url();
    await page.reload();
    await drawn(page, READY_TIMEOUT_MS);
    assert.equal(page.url(), there);
    assert.equal(await zoomed(), first.name);
    assert.equal(await page.locator('#search').inputValue(), 'poll');
    assert.equal(await page.locator('button', { hasText: 'A–Z' }).getAttribute('aria-pressed'), 'true');
    assert.equal(await page.locator('.top-table').count(), 0);
    const wide = await row(page, 1, 40);
    assert.deepEqual(wide.map((f) => f.name), [first.name], 'the zoomed frame does not fill its row');
    await page.goBack();
    await page.goBack();
    await settle(page);
    assert.equal(address(page).hash, '');
  }],

  ['the keyboard selects, zooms in and out, and the focused frame is announced', async (browser, url) => {
    const { page } = await ready(browser, url, '/explore?fold=off');
    await page.locator('.flame-host canvas').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => /of total, depth 2/.test(document.querySelector('#focused-frame')?.textContent ?? ''));
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.split('.').length === 2);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => /^#zoom=[^.]+$/.test(location.hash));
    await page.keyboard.press('Home');
    await page.waitForFunction(() => location.hash === '');
  }],

  ['the table sorts, and a click on a function searches for it', async (browser, url) => {
    const { page } = await ready(browser, url);
    await page.locator('.tr').first().waitFor();
    assert.ok((await page.locator('.tr').count()) < 100, 'too many rows in the document');
    await page.locator('.th.name').click();
    const names = await page.locator('.tr .name').allInnerTexts();
    assert.deepEqual(names, names.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    await page.locator('.th.self').click();
    await page.locator('.tr').nth(2).click();
    await page.waitForFunction(() => /matched/.test(document.querySelector('#matched')?.textContent ?? ''));
    assert.ok(address(page).searchParams.get('search').startsWith('^'));
    assert.equal(await page.locator('.tr').count(), 1);
    await page.locator('.tr').first().click();
    await page.waitForFunction(() => !new URLSearchParams(location.search).has('search'));
  }],
];
