import type { ComponentType } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Lazy } from './Lazy';

interface Props {
  id: string;
  title: string;
  load: () => Promise<ComponentType<{ close: () => void }>>;
}

/** A menu whose content is loaded when it is first opened. */
export function Menu({ id, title, load }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  const [open, setOpen] = useState(false);
  const close = (): void => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <details class="menu" id={id} ref={menu} onToggle={(e) => setOpen(e.currentTarget.open)} onKeyDown={(e) => e.key === 'Escape' && close()} onFocusOut={(e) => { if (e.relatedTarget !== null && !menu.current?.contains(e.relatedTarget as Node)) close(); }}>
      <summary>{title}</summary>
      <div class="popover">{open && <Lazy load={load} props={{ close }} />}</div>
    </details>
  );
}
