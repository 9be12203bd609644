import { useEffect, useRef } from 'preact/hooks';
import { helpOpen } from '../state/help';
import { ACTIONS } from '../state/transforms';

const KEYS: [string, [string, string][]][] = [
  ['Everywhere', [['?', 'this help'], ['/', 'search'], ['g', 'flame graph'], ['t', 'table'], ['Esc', 'zoom out, then clear the selected range'], ['Tab', 'next part of the page']]],
  ['Search', [['Enter', 'next match'], ['Shift+Enter', 'previous match'], ['Esc', 'clear the search']]],
  ['Flame graph', [
    ['← ↑ ↓ →', 'select a frame'], ['Enter', 'zoom in, fold or unfold a run, load undrawn frames'], ['Esc', 'zoom out'], ['Home', 'whole profile'],
    ['w s + −', 'zoom'], ['a d', 'move'], ['Shift+F10', 'menu of the frame'], ['u', 'undo the last transform'],
    ...ACTIONS.map(({ key, label }): [string, string] => [key, label.charAt(0).toLowerCase() + label.slice(1)]),
  ]],
  ['Timeline', [['← →', 'select a bar and move the selection'], ['Shift+← →', 'change the end of the selection'], ['Enter', 'use the selection as the range'], ['Esc', 'clear the selection']]],
  ['Heat maps', [['← ↑ ↓ →', 'select a cell'], ['Shift+← ↑ ↓ →', 'select a range'], ['Enter', 'open its flame graph'], ['Esc', 'clear the selection; the whole of a file']]],
  ['Tables', [['↑ ↓', 'select a row'], ['Enter', 'search for the function'], ['Shift+F10', 'menu of the function']]],
];

/** The keys and gestures of Explore. */
export function HelpSheet() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="help" aria-label="Keys" onClose={() => { helpOpen.value = false; }} onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
      <form method="dialog" class="help-head"><h2>Keys</h2><button type="submit" autofocus>Close</button></form>
      <div class="help-body">
        {KEYS.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>{keys.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
          </section>
        ))}
        <section>
          <h3>Pointer</h3>
          <dl>
            <div><dt>click</dt><dd>zoom to a frame; fold or unfold a run</dd></div>
            <div><dt>right click</dt><dd>menu of a frame or a function</dd></div>
            <div><dt>wheel, drag</dt><dd>move; with Ctrl zoom</dd></div>
            <div><dt>drag</dt><dd>over the timeline: select a range</dd></div>
          </dl>
        </section>
      </div>
    </dialog>
  );
}
