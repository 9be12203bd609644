import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** Closes something that lies over the page when the user turns to the rest of it. */
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
