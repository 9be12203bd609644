// Keys of a page outside of its fields.

import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** Parts of pages with many controls before them. */
const PARTS: Record<string, string> = { g: '.flame-host canvas', t: '.tbody, main table a, main table button' };

/** Whether a key press is input to a field, or a shortcut of the browser. */
const isOthers = ({ ctrlKey, metaKey, altKey, target }: KeyboardEvent): boolean =>
  ctrlKey || metaKey || altKey || (target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable], dialog') !== null);

/** `/` focuses the field of the search or filter, `g` the flame graph, `t` the table; `more` gets other keys. */
export function usePageKeys(field: RefObject<HTMLInputElement | null>, more: (e: KeyboardEvent) => void = () => {}): void {
  useEffect(() => {
    const key = (e: KeyboardEvent): void => {
      if (isOthers(e)) return;
      const selector = PARTS[e.key];
      const part = selector === undefined ? null : document.querySelector<HTMLElement>(selector);
      const to = e.key === '/' ? field.current : part;
      if (to === null) {
        more(e);
        return;
      }
      e.preventDefault();
      to.focus();
      if (to === field.current) field.current.select();
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
}
