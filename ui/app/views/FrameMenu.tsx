import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { cutName } from '../logic/names';
import { PRESETS, presetsIn } from '../logic/transforms';
import { menuAt } from '../state/framemenu';
import { shown } from '../state/queries';
import { ACTIONS, type ActionId, apply, run } from '../state/transforms';

/** The actions on a frame, by pointer and keyboard. */
export function FrameMenu() {
  const box = useRef<HTMLDivElement>(null);
  const at = menuAt.value;
  useLayoutEffect(() => {
    const div = box.current;
    if (!div || !at) return;
    const { offsetWidth: w, offsetHeight: h } = div;
    div.style.left = `${Math.max(4, Math.min(at.x, innerWidth - w - 4))}px`;
    div.style.top = `${Math.max(4, Math.min(at.y, innerHeight - h - 4))}px`;
    div.querySelector('button')?.focus();
  }, [at]);
  useEffect(() => {
    if (at === null) return;
    const away = (e: Event): void => {
      if (e.target instanceof Node && !box.current?.contains(e.target)) menuAt.value = null;
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [at]);
  if (at === null) return null;
  const close = (): void => {
    menuAt.value = null;
    at.back?.focus();
  };
  const choose = (id: ActionId): void => {
    close();
    run(id, at.name);
  };
  const loaded = shown.peek();
  const presets = loaded === null ? [] : presetsIn(loaded.frames.names, loaded.frames.files);
  const items = ACTIONS.filter((a) => at.name !== '' || !a.ofFunction);
  const key = (e: KeyboardEvent): void => {
    const buttons = [...box.current!.querySelectorAll('button')];
    const now = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: buttons.length - 1 }[e.key];
    const item = items.find((a) => a.key === e.key);
    if (to !== undefined) buttons[(to + buttons.length) % buttons.length].focus();
    else if (e.key === 'Escape' || e.key === 'Tab') close();
    else if (item !== undefined) choose(item.id);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <div class="popover frame-menu" role="menu" aria-label={at.name === '' ? 'Flame graph' : cutName(at.name, 100)} ref={box} onKeyDown={key}>
      {at.name !== '' && <p class="menu-name" role="presentation"><bdi>{cutName(at.name, 120)}</bdi></p>}
      {items.map(({ id, label, key: hint }) => (
        <button type="button" role="menuitem" key={id} id={`menu-${id}`} tabIndex={-1} onClick={() => choose(id)}><span>{label}</span><kbd>{hint}</kbd></button>
      ))}
      {presets.length > 0 && <p class="menu-group quiet" role="presentation">Hide, keep the callees</p>}
      {presets.map((preset) => (
        <button type="button" role="menuitem" key={preset} id={`menu-hide-${preset}`} tabIndex={-1} onClick={() => { close(); apply({ kind: 'preset', preset }); }}><span>{PRESETS[preset][0].replace(/^the /, '')}</span></button>
      ))}
    </div>
  );
}
