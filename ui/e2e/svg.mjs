// A flame graph that is opened as a file of the server: its script runs under the policy of the response.
import assert from 'node:assert/strict';

/** Opens CPU profiles of a range that has passed, so that a reload shows the same. */
async function drawing(browser, url) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // The browser asks for an icon, which a drawing has not.
    if (message.type() === 'error' && !/favicon/.test(message.location().url + message.text())) faults.push(message.text());
  });
  const until = Date.now() - 20_000;
  await page.goto(`${url}/api/v1/profiles/svg?type=cpu&from=${until - 600_000}&until=${until}`);
  await page.locator('#frames g[tabindex="0"]').waitFor();
  return { page, faults };
}

const matched = (page) => page.locator('#matched').textContent();
const address = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1));
const focused = (page) => page.evaluate(() => document.activeElement.querySelector('title')?.textContent);

/** Checks for a running Davy; the fixture draws no SVG. */
export const onlyServer = [
  ['a drawing is searched by keyboard, and its address keeps the pattern', async (browser, url) => {
    const { page, faults } = await drawing(browser, url);
    page.on('dialog', (dialog) => dialog.accept('POLL'));
    await page.keyboard.press('Control+f');
    assert.equal(await matched(page), 'Matched: 0.0%');
    await page.keyboard.press('Control+i');
    assert.match(await matched(page), /^Matched: [1-9][\d.]*%$/);
    assert.ok((await page.locator('#frames g.match').count()) > 0);
    assert.equal(address(page).get('s'), 'POLL');
    await page.locator('#search').click();
    assert.equal(await matched(page), '');
    assert.deepEqual(faults, []);
  }],

  ['a drawing is zoomed by keyboard and pointer', async (browser, url) => {
    const { page, faults } = await drawing(browser, url);
    const visible = () => page.locator('#frames g:not(.hide)').count();
    const all = await visible();
    await page.locator('#frames g[tabindex="0"]').focus();
    const root = await focused(page);
    await page.keyboard.press('ArrowUp');
    const child = await focused(page);
    assert.notEqual(child, root);
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(page), child);
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    const zoomed = await visible();
    assert.ok(zoomed < all, `${zoomed} of ${all}`);
    assert.ok(address(page).has('x') && address(page).has('y'));
    await page.reload();
    await page.locator('#frames g[tabindex="0"]').waitFor();
    assert.equal(await visible(), zoomed);
    await page.keyboard.press('Escape');
    assert.equal(await visible(), all);
    await page.locator('#frames g rect').nth(3).click();
    await page.locator('#unzoom').click();
    assert.equal(await visible(), all);
    assert.deepEqual(faults, []);
  }],
];
