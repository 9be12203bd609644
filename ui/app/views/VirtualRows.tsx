import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

export const ROW_HEIGHT = 22;
const SPARE = 8;

interface Props {
  count: number;
  /** The name of the list for screen readers. */
  label: string;
  title: (row: number) => string;
  selected: (row: number) => boolean;
  choose: (row: number) => void;
  /** Opens the menu of a row, at a point of the window. */
  menu?: (row: number, x: number, y: number) => void;
  roles?: { list: 'listbox' | 'tree'; row: 'option' | 'treeitem' };
  /** Further attributes of a row. */
  aria?: (row: number) => Record<string, string | number | boolean>;
  /** Handles another key at a row: the row to go to, or null if the key is not handled. */
  keyed?: (row: number, key: string) => number | null;
  /** Called when the keyboard moves to a row. */
  moved?: (row: number) => void;
  children: (row: number) => ComponentChildren;
}

const LIST = { list: 'listbox', row: 'option' } as const;

/** A list of which only the rows in view are in the document. Arrow keys move, Enter chooses. */
export function VirtualRows({ count, label, title, selected, choose, menu, roles = LIST, aria, keyed, moved, children }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  const [height, setHeight] = useState(400);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const div = scroller.current!;
    const observer = new ResizeObserver(() => setHeight(div.clientHeight));
    observer.observe(div);
    return () => observer.disconnect();
  }, []);
  const shown = Math.ceil(height / ROW_HEIGHT) + 2 * SPARE;
  const from = Math.max(0, Math.min(first - SPARE, count - shown));
  const rows = Array.from({ length: Math.max(0, Math.min(shown, count - from)) }, (_, i) => from + i);
  const go = (next: number): void => {
    setAt(next);
    moved?.(next);
    const div = scroller.current!;
    const y = next * ROW_HEIGHT;
    if (y < div.scrollTop) div.scrollTop = y;
    else if (y + ROW_HEIGHT > div.scrollTop + div.clientHeight) div.scrollTop = y + ROW_HEIGHT - div.clientHeight;
  };
  const key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey || count === 0) return;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -count, End: count }[e.key];
    const other = by === undefined && at < count ? (keyed?.(at, e.key) ?? null) : null;
    if (other !== null) go(Math.min(other, count - 1));
    else if (by !== undefined) go(Math.max(0, Math.min(count - 1, at + by)));
    else if ((e.key === 'Enter' || e.key === ' ') && at < count) choose(at);
    else if (menu !== undefined && at < count && (e.key === 'ContextMenu' || (e.key === 'F10' && e.shiftKey))) {
      const box = scroller.current!.getBoundingClientRect();
      menu(at, box.left + 40, box.top + (at + 1) * ROW_HEIGHT - scroller.current!.scrollTop);
    } else return;
    e.preventDefault();
  };
  return (
    <div
      class="tbody"
      ref={scroller}
      role={roles.list}
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={at >= from && at < from + rows.length ? `row-${at}` : undefined}
      onKeyDown={key}
      onScroll={(e) => setFirst(Math.floor(e.currentTarget.scrollTop / ROW_HEIGHT))}
    >
      <div class="tall" role="presentation" style={{ height: `${count * ROW_HEIGHT}px` }}>
        {rows.map((row) => (
          <div
            key={row}
            id={`row-${row}`}
            role={roles.row}
            aria-selected={selected(row)}
            aria-posinset={row + 1}
            aria-setsize={count}
            {...aria?.(row)}
            class={row === at ? 'tr at' : 'tr'}
            style={{ transform: `translateY(${row * ROW_HEIGHT}px)` }}
            title={title(row)}
            onClick={() => { setAt(row); choose(row); }}
            onContextMenu={(e) => {
              if (menu === undefined) return;
              e.preventDefault();
              setAt(row);
              menu(row, e.clientX, e.clientY);
            }}
          >
            {children(row)}
          </div>
        ))}
      </div>
    </div>
  );
}
