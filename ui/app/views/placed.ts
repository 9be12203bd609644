import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** Places a tooltip beside a point of the window, within the window. */
export function usePlaced(at: { x: number; y: number } | null): RefObject<HTMLDivElement | null> {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const div = box.current;
    if (!div || !at) return;
    const { offsetWidth: w, offsetHeight: h } = div;
    const x = at.x + 14 + w > innerWidth ? Math.max(4, at.x - w - 10) : at.x + 14;
    const y = at.y + 18 + h > innerHeight ? Math.max(4, at.y - h - 10) : at.y + 18;
    div.style.transform = `translate(${x}px, ${y}px)`;
  });
  return box;
}
