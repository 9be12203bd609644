// Local files as sides of a comparison.
import assert from 'node:assert/strict';
import { drawn, open, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const BEFORE = 'main;parse 100\nmain;encode 50\nmain;old 20\n';
const AFTER = 'main;parse 300\nmain;encode 50\nmain;new 30\n';
const file = (name, text) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
const compare = (more = {}) => `/compare?${new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', from: 'now-1h', ...more })}`;
const row = (page, name) => page.locator('.rank-table .tr', { hasText: name });

export const fixtureCompareFiles = [
  ['two local files are compared without a request, and exchanged', async (browser, url) => {
    const { page, faults } = await open(browser, url + compare(), { theme: 'light', width: 1440 });
    await drawn(page);
    await page.locator('#base-file').setInputFiles(file('before.folded', BEFORE));
    await page.locator('.side-base .side-file').waitFor();
    const requests = [];
    page.on('request', (r) => { if (!/\/assets\/|favicon/.test(r.url())) requests.push(r.url()); });
    await page.locator('#now-file').setInputFiles(file('after.folded', AFTER));
    await page.locator('.side-compared .side-file').waitFor();
    await page.locator('#scale-value').click();
    await page.waitForFunction(() => /samples: 380, \+210 \(\+124%\) compared with 170 in the base/.test(document.querySelector('#verdict')?.textContent ?? ''));
    assert.match(await row(page, 'parse').innerText(), /\+200/);
    assert.match(await row(page, 'new').innerText(), /new/);
    assert.match(await row(page, 'old').innerText(), /gone/);
    assert.equal(await page.locator('#scale-rate').count(), 0);
    assert.match(await page.locator('#caution').innerText(), /Compare by share/);
    assert.deepEqual(requests, [], 'local files caused requests');
    await shot(page, 'compare-files');
    await page.locator('#swap').click();
    await page.waitForFunction(() => /samples: 170, −210/.test(document.querySelector('#verdict')?.textContent ?? ''));
    assert.equal(await page.locator('.side-base .side-file bdi').innerText(), 'after.folded');
    await page.locator('#view-sides').click();
    await page.locator('#flame-base canvas').waitFor();
    assert.match(await page.locator('.sides-pane').innerText(), /before\.folded[\s\S]*after\.folded/);
    await page.locator('#now-close').click();
    await page.locator('#base-close').click();
    await page.locator('#view-both').click();
    await drawn(page);
    assert.match(await page.locator('#verdict').innerText(), /^CPU/);
    assert.deepEqual(faults, []);
  }],

  ['a file that is dropped on a side is compared with the server, in the same unit, by share', async (browser, url) => {
    const { page } = await open(browser, url + compare());
    await drawn(page);
    const drop = (selector, name, text) => page.evaluate(([on, of, content]) => {
      const data = new DataTransfer();
      data.items.add(new File([content], of));
      const target = document.querySelector(on);
      target.dispatchEvent(new DragEvent('dragover', { dataTransfer: data, bubbles: true, cancelable: true }));
      target.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    }, [selector, name, text]);
    // In counts, which no time can be compared with.
    await drop('.side-base', 'counts.folded', BEFORE);
    await page.locator('.notice.error', { hasText: /one is in nanoseconds, the other in count/ }).waitFor();
    const speedscope = JSON.stringify({
      shared: { frames: [{ name: 'main' }, { name: 'local_only' }] },
      profiles: [{ type: 'sampled', name: 'cpu', unit: 'milliseconds', samples: [[0], [0, 1]], weights: [250, 750] }],
    });
    await drop('.side-base', 'local.speedscope.json', speedscope);
    await page.waitForFunction(() => /compared with 1\.00 s in the base/.test(document.querySelector('#verdict')?.textContent ?? ''));
    assert.equal(await page.locator('#scale-share').getAttribute('aria-pressed'), 'true');
    assert.match(await row(page, 'local_only').innerText(), /gone/);
    await drop('.side-compared', 'notes.txt', 'hello');
    assert.match(await page.locator('#file-problem').innerText(), /notes\.txt could not be opened: it is not a known format/);
    await page.locator('#base-close').focus();
    await page.keyboard.press('Enter');
    await page.locator('#base-selector').waitFor();
  }],
];
