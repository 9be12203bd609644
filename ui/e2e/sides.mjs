// Both sides of a comparison next to each other.
import assert from 'node:assert/strict';
import { open, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const ROW = 18;

async function sides(browser, url, options) {
  const { page, faults } = await open(browser, `${url}/compare?${new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', by: 'member', view: 'sides' })}`, options);
  await page.waitForFunction(() => ['now', 'base'].every((side) => Number(document.querySelector(`#flame-${side}`)?.dataset.drawn ?? 0) > 3), null, { timeout: 60_000 });
  await settle(page);
  return { page, faults };
}

export const fixtureSides = [
  ['side by side, pointing at a frame marks it on both sides, and a click zooms both', async (browser, url) => {
    const { page, faults } = await sides(browser, url);
    const box = await page.locator('#flame-now canvas').boundingBox();
    await page.mouse.move(box.x + 60, box.y + ROW * 1.5);
    await page.locator('.tooltip').waitFor();
    const name = await page.locator('.tooltip strong').innerText();
    assert.match(name, /^member=/);
    const boxes = await page.locator('.flame-box-hover').evaluateAll((all) => all.map((one) => one.hidden));
    assert.deepEqual(boxes, [false, false]);
    await shot(page, 'sides');
    await page.mouse.click(box.x + 60, box.y + ROW * 1.5);
    await page.waitForFunction(() => location.hash.includes('zoom='));
    await settle(page);
    // The zoomed frame fills the other side as well.
    const other = await page.locator('#flame-base canvas').boundingBox();
    for (const share of [0.05, 0.95]) {
      await page.mouse.move(other.x + other.width * share, other.y + ROW * 1.5);
      await page.waitForFunction((of) => document.querySelector('.tooltip strong')?.textContent === of, name);
    }
    assert.deepEqual(faults, []);
  }],

  ['side by side works by keyboard, and fits into 480 pixels', async (browser, url) => {
    const { page } = await sides(browser, url, { theme: 'light', width: 480 });
    await page.locator('#flame-base canvas').focus();
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => /^member=.*base/.test(document.querySelector('#focused-frame').textContent));
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.includes('zoom='));
    await settle(page);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !location.hash.includes('zoom='));
    await shot(page, 'sides-480');
  }],
];
