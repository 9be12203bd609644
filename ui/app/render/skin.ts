// The canvas's colours in the light and the dark theme; those of the page are in style/theme.css.

import { signal } from '@preact/signals';
import { type Theme, palette } from '../logic/colours';
import type { Skin } from './paint';

const dark = matchMedia('(prefers-color-scheme: dark)');
export const theme = signal<Theme>(dark.matches ? 'dark' : 'light');
dark.addEventListener('change', () => {
  theme.value = dark.matches ? 'dark' : 'light';
});

// Paper is light.
addEventListener('beforeprint', () => { theme.value = 'light'; });
addEventListener('afterprint', () => { theme.value = dark.matches ? 'dark' : 'light'; });

const SKINS: Record<Theme, Skin> = {
  light: {
    palette: palette('light'),
    background: '#ffffff',
    dimFill: '#e9ebee',
    dimInk: '#5f6772',
    hatch: '#b4bac4',
    hatchInk: '#4d5560',
    mark: '#c2006b',
  },
  dark: {
    palette: palette('dark'),
    background: '#14171c',
    dimFill: '#2a2f37',
    dimInk: '#a0a9b5',
    hatch: '#454c57',
    hatchInk: '#aab2be',
    mark: '#ff5cad',
  },
};

export const skinOf = (t: Theme): Skin => SKINS[t];
