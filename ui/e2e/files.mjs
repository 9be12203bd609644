// Local files: the picker, drop, several profiles, errors; exports that the page writes.
import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { drawn, open, row, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const explore = (more = {}) => `/explore?${new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', from: 'now-1h', ...more })}`;
const FOLDED = Array.from({ length: 30 }, (_, i) => `main;serve;shop::cart::item_${i};alloc::push ${100 - i}`).join('\n');

export const fixtureFiles = [
  ['a file is opened by the picker, explored like any profile, never uploaded, and closed', async (browser, url) => {
    const { page, faults } = await open(browser, url + explore(), { theme: 'light', width: 1440 });
    await drawn(page);
    const requests = [];
    page.on('request', (r) => { if (!/\/assets\/|favicon/.test(r.url())) requests.push(`${r.method()} ${r.url()}`); });
    await page.locator('#file').setInputFiles({ name: 'cart.folded', mimeType: 'text/plain', buffer: Buffer.from(FOLDED) });
    await page.locator('.local-name').waitFor();
    await drawn(page);
    assert.equal(await page.locator('.local-name').innerText(), 'cart.folded');
    assert.match(await page.locator('.status').innerText(), /2,565 .*folded stacks/);
    await page.locator('.tr').first().waitFor();
    assert.equal(await page.locator('.tr').first().locator('.name').innerText(), 'alloc::push');
    await shot(page, 'local-file');
    await page.locator('.flame-host canvas').focus();
    await page.keyboard.press('v');
    await page.waitForFunction(() => new URLSearchParams(location.search).get('t') === 'invert');
    await drawn(page);
    assert.equal((await row(page, 1, 40))[0].name, 'alloc::push');
    await page.locator('.tr', { hasText: 'item_3' }).first().click({ button: 'right' });
    await page.locator('#menu-focus').click();
    await page.waitForFunction(() => /^\s*97/.test(document.querySelector('.status b')?.textContent ?? ''));
    await page.locator('.tr').first().click({ button: 'right' });
    await page.locator('#menu-sandwich').click();
    await page.locator('.sandwich canvas').first().waitFor();
    assert.deepEqual(requests, [], 'a local file caused requests');
    await page.locator('#close-file').click();
    await page.locator('#service').waitFor();
    await page.locator('#view-both').click();
    await drawn(page);
    assert.equal(await page.locator('#service').inputValue(), 'davy');
    assert.deepEqual(faults, []);
  }],

  ['a file is opened by dropping it, and one with several profiles offers all of them', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    const doc = JSON.stringify({
      shared: { frames: [{ name: 'main' }, { name: 'work' }] },
      profiles: [
        { type: 'sampled', name: 'first', unit: 'milliseconds', samples: [[0, 1], [0], [0, 1], [1], [1, 0], [0, 0]], weights: [5, 1, 1, 1, 1, 1] },
        { type: 'sampled', name: 'second', unit: 'bytes', samples: [[1], [1, 0]], weights: [2048, 1024] },
      ],
    });
    await page.evaluate((text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'two.speedscope.json'));
      dispatchEvent(new DragEvent('dragover', { dataTransfer: data, bubbles: true, cancelable: true }));
      dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    }, doc);
    await page.locator('.local-name').waitFor();
    await page.waitForFunction(() => /10.0 ms/.test(document.querySelector('.status')?.textContent ?? ''));
    await page.locator('#kind').selectOption({ index: 1 });
    await page.waitForFunction(() => /3.00 KiB/.test(document.querySelector('.status')?.textContent ?? ''));
  }],

  ['a file that cannot be read is named with the reason, and the page stays', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    await page.locator('#file').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello\n') });
    await page.locator('#file-problem').waitFor();
    assert.match(await page.locator('#file-problem').innerText(), /notes\.txt could not be opened: it is not a known format/);
    await shot(page, 'file-problem');
    await page.locator('#file-problem button').click();
    assert.equal(await page.locator('#service').inputValue(), 'davy');
  }],

  ['speedscope and HTML are exported, and the speedscope file opens again with the same total', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    const total = await page.locator('.status b').first().innerText();
    const download = async (button) => {
      await page.locator('#export-menu summary').click();
      const [saved] = await Promise.all([page.waitForEvent('download'), page.locator(button).click()]);
      return { name: saved.suggestedFilename(), text: await readFile(await saved.path(), 'utf8') };
    };
    const speedscope = await download('#export-speedscope');
    assert.equal(speedscope.name, 'profile.speedscope.json');
    const html = await download('#export-html');
    assert.equal(html.name, 'flamegraph.html');
    assert.match(html.text, /<svg[\s\S]*Functions with the largest self values/);
    await page.locator('#file').setInputFiles({ name: speedscope.name, mimeType: 'application/json', buffer: Buffer.from(speedscope.text) });
    await page.locator('.local-name').waitFor();
    await settle(page);
    assert.equal(await page.locator('.status b').first().innerText(), total);
  }],

  ['the exported HTML file has the functions of the query on the screen, not those of an earlier table', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    await page.locator('.top-table .tr').first().waitFor();
    await page.locator('#view-flame').click();
    await Promise.all([page.waitForResponse(/profiles\/flamegraph\?.*shop/), page.locator('#service').selectOption('shop-frontend')]);
    await settle(page);
    await page.locator('#export-menu summary').click();
    const [table, saved] = await Promise.all([page.waitForResponse(/profiles\/top\?.*shop/), page.waitForEvent('download'), page.locator('#export-html').click()]);
    const { functions } = await table.json();
    const html = await readFile(await saved.path(), 'utf8');
    assert.equal(html.match(/<tr><td>/g).length, Math.min(200, functions.length));
    assert.match(html, /<h1>.* of shop-frontend<\/h1>/);
  }],

  ['an HTML file is not exported without the policy of its drawing', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    await page.route('**/profiles/svg?*', async (route) => {
      const response = await route.fetch();
      const { 'content-security-policy': _, ...headers } = response.headers();
      await route.fulfill({ response, headers });
    });
    await page.locator('#export-menu summary').click();
    await page.locator('#export-html').click();
    await page.locator('#export-menu [role=alert]').waitFor();
    assert.match(await page.locator('#export-menu [role=alert]').innerText(), /^The export failed: the response has no hashes of its script in the header Content-Security-Policy\. A proxy may remove the header: .*, or export "Standalone SVG"\.$/);
    await shot(page, 'export-without-policy');
  }],

  ['the exported HTML file works from disk without a network: details, zoom, search and the table', async (browser, url) => {
    // Without a table on the screen, too.
    for (const view of ['both', 'flame']) {
      const { page } = await open(browser, url + explore({ view }));
      await drawn(page);
      await page.locator('#export-menu summary').click();
      const [saved] = await Promise.all([page.waitForEvent('download'), page.locator('#export-html').click()]);
      const context = await browser.newContext({ offline: true, viewport: { width: 1280, height: 800 } });
      const file = await context.newPage();
      const faults = [];
      file.on('console', (message) => { if (message.type() === 'error') faults.push(message.text()); });
      file.on('pageerror', (error) => faults.push(error.message));
      file.on('request', (request) => { if (!request.url().startsWith('file:')) faults.push(request.url()); });
      file.on('dialog', (dialog) => dialog.accept('poll'));
      const path = `${await saved.path()}.html`;
      await copyFile(await saved.path(), path);
      await file.goto(`file://${path}`);
      const drawnFrames = () => file.locator('#frames g:not(.hide)').count();
      const all = await drawnFrames();
      const frame = file.locator('#frames g', { has: file.locator('title', { hasText: 'poll' }) }).last();
      await frame.hover();
      assert.match(await file.locator('#details').textContent(), /poll.*nanoseconds, [\d.]+%/);
      await frame.click();
      assert.ok((await drawnFrames()) < all);
      await file.keyboard.press('Escape');
      assert.equal(await drawnFrames(), all);
      await file.keyboard.press('Control+f');
      assert.match(await file.locator('#matched').textContent(), /^Matched: [1-9][\d.]*%$/);
      assert.ok((await file.locator('table tbody tr').count()) > 10);
      // What is added to the file does not run.
      await file.evaluate(() => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
      });
      assert.equal(await file.evaluate(() => window.ran), undefined);
      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0], /Content Security Policy/);
      await shot(file, `export-html-${view}`);
      await context.close();
    }
  }],
];
