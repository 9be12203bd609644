// What the main pages look like, against pictures in `baselines`: with a fixed clock, at half size, with few colours, and a
// tolerance for how fonts are drawn. `BASELINES=write` takes them again; look at each before you commit it.
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';
import { serve } from '../fixture/server.mjs';
import { PAGES } from './layout.mjs';
import { encode, reduce } from './palette.mjs';

const BASELINES = fileURLToPath(new URL('./baselines', import.meta.url));
/** Where pictures of what differs are written. */
const FAILURES = process.env.SCREENSHOTS ?? fileURLToPath(new URL('./failures', import.meta.url));
const NOW = Date.UTC(2026, 2, 4, 12, 0, 0);
const SIZES = [[1440, 900], [1024, 768], [480, 900]];
/** The details of a function, with its lines. */
const CALLERS = [`${PAGES['Explore, callers'][0]}&lines=shown`, '.tr', async (page) => {
  await page.locator('.tr', { hasText: 'davy_control' }).first().click();
  await page.locator('#lines').waitFor();
}];
const MAIN = { Incident: PAGES.Incident, Explore: PAGES.Explore, 'Explore, callers': CALLERS, Compare: PAGES.Compare, Members: PAGES.Members, Fleet: PAGES.Fleet, Archive: PAGES.Archive };
/** The share of pixels that may differ, and by how much a pixel may. */
const SHARE = 0.006;
const THRESHOLD = 0.2;
/** Durations that were measured differ in every run, and so does where a caret blinks. */
const STYLE = '.status .quiet { visibility: hidden } * { caret-color: transparent !important; animation: none !important; transition: none !important }';

/** The picture in the colours of the baselines. */
function coarse(bytes) {
  const png = PNG.sync.read(bytes);
  reduce(png.data);
  return png;
}

async function picture(browser, url, [path, sign, then = () => {}], theme, [width, height]) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: 0.5, timezoneId: 'UTC', locale: 'en-US', reducedMotion: 'reduce' });
  try {
    const page = await context.newPage();
    await page.clock.setFixedTime(NOW);
    await page.goto(url + path);
    await page.locator(sign).first().waitFor();
    await page.addStyleTag({ content: STYLE }).catch(() => page.evaluate((css) => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css); document.adoptedStyleSheets.push(sheet); }, STYLE));
    await then(page);
    await page.mouse.move(0, 0);
    // The page is complete when two pictures in a row are the same.
    let before = null;
    for (let i = 0; i < 20; i++) {
      const now = await page.screenshot({ animations: 'disabled' });
      if (before !== null && now.equals(before)) break;
      before = now;
      await page.waitForTimeout(350);
    }
    return coarse(before);
  } finally {
    await context.close();
  }
}

export const fixtureAppearance = Object.entries(MAIN).map(([name, target]) => [`${name} looks as before at every width, in light and dark`, async (browser) => {
  const own = await serve({ now: () => NOW, recorded: NOW, workers: { is: 'wedged' } });
  const wrong = [];
  try {
    for (const theme of ['light', 'dark']) {
      for (const size of SIZES) {
        const file = `${name.toLowerCase().replaceAll(/\W+/g, '-')}-${size[0]}-${theme}.png`;
        const shown = await picture(browser, own.url, target, theme, size);
        if (process.env.BASELINES === 'write') {
          await mkdir(BASELINES, { recursive: true });
          await writeFile(join(BASELINES, file), encode(shown));
          continue;
        }
        const wanted = await readFile(join(BASELINES, file)).then((bytes) => PNG.sync.read(bytes), () => null);
        const keep = async (png, suffix) => {
          await mkdir(FAILURES, { recursive: true });
          await writeFile(join(FAILURES, file.replace('.png', `-${suffix}.png`)), PNG.sync.write(png));
        };
        if (wanted === null || wanted.width !== shown.width || wanted.height !== shown.height) {
          await keep(shown, 'now');
          wrong.push(wanted === null ? `${file}: there is no baseline; take it with BASELINES=write` : `${file}: expected ${wanted.width}x${wanted.height} pixels, got ${shown.width}x${shown.height}`);
          continue;
        }
        const difference = new PNG({ width: shown.width, height: shown.height });
        const count = pixelmatch(wanted.data, shown.data, difference.data, shown.width, shown.height, { threshold: THRESHOLD });
        const share = count / (shown.width * shown.height);
        for (const suffix of ['now', 'difference']) await rm(join(FAILURES, file.replace('.png', `-${suffix}.png`)), { force: true });
        if (share <= SHARE) continue;
        await Promise.all([keep(shown, 'now'), keep(difference, 'difference')]);
        wrong.push(`${file}: ${(100 * share).toFixed(2)}% of the pixels differ, the maximum is ${100 * SHARE}%; see ${join(FAILURES, file.replace('.png', '-difference.png'))}. If it is meant, take the baselines again with BASELINES=write`);
      }
    }
  } finally {
    own.server.close();
  }
  assert.deepEqual(wrong, []);
}]);
