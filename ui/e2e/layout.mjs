// What every page keeps: headers of one line, cells that do not touch, and no findings of axe.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { open } from './browser.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const of = (more = {}) => new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', ...more });

/** Every page, and the views of Explore, with what shows that it is loaded. */
export const PAGES = {
  Incident: ['/', '#verdict'],
  Explore: ['/explore', '.flame-host[data-nodes]'],
  'Explore, callers': [`/explore?${of({ view: 'sandwich' })}`, '.tr'],
  'Explore, tree': [`/explore?${of({ view: 'tree' })}`, '[role=treeitem]'],
  'Explore, heat map': ['/explore?plot=heat', '#heat td'],
  'Explore, saved views': ['/explore', '.flame-host[data-nodes]', (page) => page.locator('#views-menu summary').click()],
  Frame: ['/embed/flamegraph', '.flame-host[data-nodes]'],
  Compare: [`/compare?${of()}`, '.flame-host[data-nodes]'],
  'Compare, side by side': [`/compare?${of({ view: 'sides' })}`, '#flame-base[data-nodes]'],
  Members: ['/members', 'tr.line'],
  Fleet: ['/fleet', 'main table'],
  Archive: ['/archive', 'main table'],
};

async function loaded(browser, url, [path, sign, then = () => {}], options) {
  const { page } = await open(browser, url + path, options);
  await page.locator(sign).first().waitFor();
  await then(page);
  return page;
}

/** The findings of axe, one line each. */
async function findings(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, help, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${help}: ${node.target.join(' ')}: ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ''}`));
  });
}

export const fixtureLayout = [
  ['the header of every page takes one line at 1440 pixels', async (browser, url) => {
    for (const [name, target] of Object.entries(PAGES)) {
      const page = await loaded(browser, url, target, { width: 1440 });
      const { height } = await page.locator('header.bar').first().boundingBox();
      assert.ok(height < 45, `the header of ${name} is ${height} pixels high`);
      await page.context().close();
    }
  }],

  ['the texts in a row of Incident do not touch at 480 pixels', async (browser, url) => {
    const page = await loaded(browser, url, PAGES.Incident, { width: 480 });
    const touching = await page.locator('.changes tr.change').evaluateAll((rows) => rows.flatMap((row) => {
      const cells = [...row.querySelectorAll('th, td')].filter((c) => c.getBoundingClientRect().width > 0).map((c) => {
        const range = document.createRange();
        range.selectNodeContents(c);
        return [c.textContent, range.getBoundingClientRect()];
      });
      return cells.flatMap(([text, a], i) => cells.slice(i + 1)
        .filter(([, b]) => a.left < b.right + 3 && b.left < a.right + 3 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
        .map(([other]) => `${text} | ${other}`));
    }));
    assert.deepEqual(touching, []);
  }],

  ...Object.entries(PAGES).map(([name, target]) => [`axe finds nothing on ${name}`, async (browser, url) => {
    for (const [theme, width] of [['light', 1440], ['dark', 480]]) {
      const page = await loaded(browser, url, target, { theme, width });
      assert.deepEqual(await findings(page), [], `${theme}, ${width} pixels`);
      await page.context().close();
    }
  }]),
];
