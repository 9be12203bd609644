import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** Closes an open popover when the user presses outside of it. */
export function useDismiss(inside: RefObject<HTMLElement | null>, open: boolean, close: () => void): void {
  useEffect(() => {
    if (!open) return;
    const away = (e: Event): void => {
      if (e.target instanceof Node && !inside.current?.contains(e.target)) close();
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  });
}
