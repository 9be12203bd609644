import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { luminance } from '../logic/colours';

const css = readFileSync(new URL('../style/theme.css', import.meta.url), 'utf8');
const [light, dark] = css.split('@media screen and (prefers-color-scheme: dark)').map((part) =>
  new Map([...part.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, hex]) => [name, hex])));

/** Text and what it is on, as the style sheets combine them. */
const PAIRS: [string, string][] = [
  ['ink', 'page'], ['ink', 'panel'], ['ink', 'field'], ['ink', 'hover'], ['ink', 'soft'], ['quiet', 'page'], ['quiet', 'panel'], ['quiet', 'soft'],
  ['accent', 'page'], ['accent', 'panel'], ['accent', 'soft'], ['accent', 'field'], ['accent-ink', 'accent'], ['bad', 'bad-ground'], ['bad', 'page'],
  ['warn-ink', 'warn-ground'], ['up', 'page'], ['up', 'soft'], ['down', 'page'], ['down', 'soft'], ['quiet', 'hover'], ['accent', 'hover'],
];

describe('contrast', () => {
  for (const [theme, colours] of [['light', light], ['dark', dark]] as const) {
    test(`text of the ${theme} theme has a contrast of at least 4.5`, () => {
      for (const [text, ground] of PAIRS) {
        const [a, b] = [colours.get(text)!, colours.get(ground)!].map(luminance).sort((x, y) => y - x);
        expect((a + 0.05) / (b + 0.05), `--${text} on --${ground}`).toBeGreaterThanOrEqual(4.5);
      }
    });
  }
});
