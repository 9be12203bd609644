// Translates pointer, wheel and key events on the flame graph into a few plain events.

import type { Flame, Spot } from './flame';
import type { Direction } from '../logic/neighbours';
import type { Growth } from '../logic/urlstate';

export interface Handlers {
  hover(spot: Spot | null, clientX: number, clientY: number): void;
  click(spot: Spot): void;
  walk(direction: Direction): void;
  enter(): void;
  out(): void;
  reset(): void;
  growth(): Growth;
  /** Opens the menu of a frame, or of the graph. */
  menu?(spot: Spot | null, clientX: number, clientY: number): void;
  /** The frame with the keyboard focus. */
  focused?(): Spot | null;
  /** Another key; true if it was handled. */
  command?(key: string): boolean;
}

/** A press that moves further is a drag, not a click. */
const SLACK = 4;

export function attach(flame: Flame, handlers: Handlers): () => void {
  const { canvas } = flame;
  let pressed: { x: number; y: number; moved: boolean } | null = null;
  const at = (e: MouseEvent): [number, number] => {
    const r = canvas.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  };

  const down = (e: PointerEvent): void => {
    if (e.button !== 0) return;
    pressed = { x: e.clientX, y: e.clientY, moved: false };
  };
  const move = (e: PointerEvent): void => {
    if (pressed) {
      const dx = pressed.x - e.clientX;
      const dy = pressed.y - e.clientY;
      if (!pressed.moved && Math.hypot(dx, dy) < SLACK) return;
      if (!pressed.moved) canvas.setPointerCapture(e.pointerId);
      pressed.moved = true;
      flame.pan(dx, dy);
      pressed.x = e.clientX;
      pressed.y = e.clientY;
      canvas.classList.add('dragging');
      flame.setHover(null);
      handlers.hover(null, e.clientX, e.clientY);
      return;
    }
    const spot = flame.spotAt(...at(e));
    flame.setHover(spot);
    canvas.classList.toggle('clickable', spot !== null);
    handlers.hover(spot, e.clientX, e.clientY);
  };
  const up = (e: PointerEvent): void => {
    const clicked = pressed !== null && !pressed.moved;
    pressed = null;
    canvas.classList.remove('dragging');
    if (!clicked) return;
    const spot = flame.spotAt(...at(e));
    if (spot) handlers.click(spot);
  };
  const leave = (e: PointerEvent): void => {
    flame.setHover(null);
    handlers.hover(null, e.clientX, e.clientY);
  };
  const wheel = (e: WheelEvent): void => {
    e.preventDefault();
    const unit = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? 18 : 1;
    const width = canvas.clientWidth || 1;
    if (e.ctrlKey || e.metaKey || e.altKey) {
      flame.zoomBy(1.0025 ** (e.deltaY * unit), at(e)[0] / width);
    } else if (e.shiftKey && e.deltaX === 0) {
      flame.pan(e.deltaY * unit, 0);
    } else {
      flame.pan(e.deltaX * unit, e.deltaY * unit);
    }
    const spot = flame.spotAt(...at(e));
    flame.setHover(spot);
    handlers.hover(spot, e.clientX, e.clientY);
  };
  const menu = (e: MouseEvent): void => {
    if (handlers.menu === undefined) return;
    e.preventDefault();
    handlers.menu(flame.spotAt(...at(e)), e.clientX, e.clientY);
  };
  const key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const grows = handlers.growth() === 'down';
    switch (e.key) {
      case 'ArrowDown': handlers.walk(grows ? 'callee' : 'caller'); break;
      case 'ArrowUp': handlers.walk(grows ? 'caller' : 'callee'); break;
      case 'ArrowLeft': handlers.walk('left'); break;
      case 'ArrowRight': handlers.walk('right'); break;
      case 'Enter': case ' ': handlers.enter(); break;
      case 'Escape': case 'Backspace': handlers.out(); break;
      case 'Home': case '0': handlers.reset(); break;
      case '+': case '=': case 'w': flame.zoomBy(0.7); break;
      case '-': case 's': flame.zoomBy(1 / 0.7); break;
      case 'a': flame.pan(-canvas.clientWidth / 8, 0); break;
      case 'd': flame.pan(canvas.clientWidth / 8, 0); break;
      case 'PageDown': flame.pan(0, canvas.clientHeight * 0.8); break;
      case 'PageUp': flame.pan(0, -canvas.clientHeight * 0.8); break;
      default:
        if (e.key === 'ContextMenu' || (e.key === 'F10' && e.shiftKey)) {
          const spot = handlers.focused?.() ?? null;
          const box = spot && flame.boxOf(spot);
          const r = canvas.getBoundingClientRect();
          handlers.menu?.(spot, r.left + (box ? box.x + Math.min(40, box.w / 2) : 40), r.top + (box ? box.y + box.h : 40));
        } else if (!handlers.command?.(e.key)) return;
    }
    e.preventDefault();
    e.stopPropagation();
  };

  canvas.addEventListener('pointerdown', down);
  canvas.addEventListener('pointermove', move);
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointerleave', leave);
  canvas.addEventListener('wheel', wheel, { passive: false });
  canvas.addEventListener('keydown', key);
  canvas.addEventListener('contextmenu', menu);
  return () => {
    canvas.removeEventListener('pointerdown', down);
    canvas.removeEventListener('pointermove', move);
    canvas.removeEventListener('pointerup', up);
    canvas.removeEventListener('pointerleave', leave);
    canvas.removeEventListener('wheel', wheel);
    canvas.removeEventListener('keydown', key);
    canvas.removeEventListener('contextmenu', menu);
  };
}
