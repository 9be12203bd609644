// The menu of actions on a frame, whose view is loaded when it is first opened.

import { signal } from '@preact/signals';

/** The open menu: a function, or '' for the whole graph, and a point of the window. */
export const menuAt = signal<{ name: string; x: number; y: number; back: HTMLElement | null } | null>(null);

export function openMenu(name: string, x: number, y: number): void {
  menuAt.value = { name, x, y, back: document.activeElement instanceof HTMLElement ? document.activeElement : null };
}
