import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { capture, form, refused, sending } from '../../state/captures';
import { asksToken, token, who } from '../../state/operator';

/** Why a heap is captured, and by whom. Enter submits, Escape cancels. */
export function CaptureForm() {
  const { member } = form.value!;
  const [why, setWhy] = useState('');
  const [name, setName] = useState(who.peek());
  const [secret, setSecret] = useState(token.peek());
  const first = useRef<HTMLInputElement>(null);
  const needsToken = asksToken.value;
  useLayoutEffect(() => first.current?.focus(), [needsToken]);
  return (
    <form
      class="capture-form"
      aria-label={`Capture the heap of the processes of ${member}`}
      onSubmit={(e) => {
        e.preventDefault();
        void capture({ why, who: name, token: secret });
      }}
      onKeyDown={(e) => {
        if (e.key !== 'Escape') return;
        e.stopPropagation();
        form.value = null;
      }}
    >
      <label class="why">reason <input ref={needsToken ? null : first} id="capture-why" autocomplete="off" value={why} onInput={(e) => setWhy(e.currentTarget.value)} /></label>
      <label>your name <input id="capture-who" class="short" autocomplete="username" value={name} onInput={(e) => setName(e.currentTarget.value)} /></label>
      {needsToken && <label>token <input ref={first} id="capture-token" type="password" autocomplete="off" value={secret} onInput={(e) => setSecret(e.currentTarget.value)} /></label>}
      <button type="submit" class="primary" disabled={sending.value}>{sending.value ? 'Capturing…' : `Capture the heap of ${member}`}</button>
      <button type="button" class="ghost" onClick={() => { form.value = null; }}>Cancel</button>
      <p class="meaning quiet">The whole heap of each process that hosts {member} is kept in the bucket, as long as daily graphs.</p>
      {refused.value !== '' && <p class="refused" role="alert">{refused.value}</p>}
    </form>
  );
}
