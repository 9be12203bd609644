// Local files whose samples have times: seconds by the offset within the second.
import assert from 'node:assert/strict';
import { drawn, open, settle, shot } from './browser.mjs';
import { perfScript } from '../fixture/perf.mjs';

const FILE = { name: 'shop.perf', mimeType: 'text/plain', buffer: Buffer.from(perfScript(12)) };

async function opened(browser, url, options) {
  const { page, faults } = await open(browser, `${url}/explore?type=process_cpu:cpu:nanoseconds:cpu:nanoseconds&selector=${encodeURIComponent('{service_name="davy"}')}`, options);
  await drawn(page);
  await page.locator('#file').setInputFiles(FILE);
  await page.locator('#sub-second').waitFor();
  await page.waitForFunction(() => document.querySelector('#sub-second').width > 100);
  await settle(page);
  return { page, faults };
}

const functions = (page) => page.locator('.tr .name').allInnerTexts().then((names) => names.toSorted());
const total = (page) => page.locator('.status b').first().innerText();
const until = (page, names) => page.waitForFunction((wanted) => [...document.querySelectorAll('.tr .name')].map((e) => e.textContent).sort().join() === wanted, names.toSorted().join());

export const fixtureSubSecond = [
  ['a range of the sub-second heat map opens its flame graph by mouse, and the whole file comes back', async (browser, url) => {
    for (const [theme, width] of [['light', 1440], ['dark', 1024], ['light', 480]]) {
      const { page, faults } = await opened(browser, url, { theme, width });
      const whole = await total(page);
      assert.deepEqual(await functions(page), ['collect', 'compress', 'main', 'serve', 'shop']);
      await shot(page, `subsecond-${width}-${theme}`);
      const box = await page.locator('#sub-second').boundingBox();
      const column = Math.min(18, Math.max(5, Math.floor((box.width - 56) / 12)));
      // The row of an offset within a second: 0 ms is at the bottom.
      const at = (second, ms) => [box.x + 46 + (second + 0.5) * column, box.y + 150 - (ms / 20 + 0.5) * 3];
      await page.mouse.move(...at(2, 300));
      await page.mouse.down();
      await page.mouse.move(...at(2, 340), { steps: 4 });
      await page.mouse.up();
      await until(page, ['collect', 'main', 'shop']);
      assert.match(await page.locator('#sub-said').innerText(), /^2 s 300 ms, for 60 ms: 60\.0 ms$/);
      assert.equal(await total(page), '60.0 ms');
      await page.mouse.move(...at(4, 500));
      await page.mouse.down();
      await page.mouse.move(...at(5, 100), { steps: 4 });
      await page.mouse.up();
      await until(page, ['compress', 'main', 'serve', 'shop']);
      assert.match(await page.locator('#sub-said').innerText(), /^4 s 500 ms, for 620 ms/);
      await settle(page);
      await shot(page, `subsecond-part-${width}-${theme}`);
      await page.locator('#whole-file').click();
      await until(page, ['collect', 'compress', 'main', 'serve', 'shop']);
      assert.equal(await total(page), whole);
      assert.deepEqual(faults, []);
      await page.context().close();
    }
  }],

  ['the sub-second heat map says its cells and opens them by keyboard', async (browser, url) => {
    const { page } = await opened(browser, url, { width: 1024 });
    await page.locator('#sub-second').focus();
    await page.keyboard.press('ArrowRight');
    const said = () => page.locator('#sub-said').innerText();
    await page.waitForFunction(() => document.querySelector('#sub-said').textContent !== '');
    assert.match(await said(), /^0 s 0 ms, for 20 ms: /);
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('PageUp');
    for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Shift+ArrowUp');
    await page.keyboard.press('Shift+ArrowUp');
    await page.waitForFunction(() => /^3 s 300 ms, for 60 ms/.test(document.querySelector('#sub-said').textContent));
    await page.keyboard.press('Enter');
    await until(page, ['collect', 'main', 'shop']);
    await page.locator('#sub-second').focus();
    await page.keyboard.press('Escape');
    await until(page, ['collect', 'compress', 'main', 'serve', 'shop']);
    assert.equal(await said(), '');
  }],

  ['a file without times has no sub-second heat map', async (browser, url) => {
    const { page } = await opened(browser, url, { width: 1024 });
    await page.locator('#file').setInputFiles({ name: 'a.folded', mimeType: 'text/plain', buffer: Buffer.from('main;work 3\nmain;rest 2\n') });
    await until(page, ['main', 'rest', 'work']);
    assert.equal(await page.locator('#sub-second').count(), 0);
  }],
];
