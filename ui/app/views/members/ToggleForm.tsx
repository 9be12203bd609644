import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ACTIONS, type Action, actionsOf, warning } from '../../logic/members/actions';
import { debugListeners, endpoints } from '../../state/fleet';
import { asksName, asksToken, choose, close, form, refusal, send, sending, token, who } from '../../state/toggleform';

const DEFAULT_LIMIT = 2;
const DEFAULT_SLOT = '30s';

/** The action, its reason, and, if needed, the operator's name and token. Enter submits, Escape cancels. */
export function ToggleForm() {
  const { line, action } = form.value!;
  const [why, setWhy] = useState('');
  const [name, setName] = useState(who.peek());
  const [secret, setSecret] = useState(token.peek());
  const [limit, setLimit] = useState(String(line.toggle?.limit ?? DEFAULT_LIMIT));
  const [slot, setSlot] = useState(line.toggle?.slot_seconds ? `${line.toggle.slot_seconds}s` : DEFAULT_SLOT);
  const first = useRef<HTMLInputElement>(null);
  const needsName = asksName.value;
  const needsToken = asksToken.value;
  // Before the next frame: an Enter that follows the click would press the button again.
  useLayoutEffect(() => first.current?.focus(), [needsToken]);
  const submit = (e: Event): void => {
    e.preventDefault();
    void send({ why, who: name, token: needsToken ? secret : '', limit: limit.trim() === '' ? Number.NaN : Number(limit), slot });
  };
  const caution = warning(line, action, endpoints.value, debugListeners.value);
  // The first empty field gets the focus.
  const focused = needsToken ? 'token' : needsName && name === '' ? 'name' : 'why';
  const kind = line.kind === 'operation' ? 'endpoint' : 'member';
  return (
    <form
      class="toggle-form"
      aria-label={`Toggle ${kind} ${line.name}`}
      onSubmit={submit}
      onKeyDown={(e) => {
        if (e.key !== 'Escape') return;
        e.stopPropagation();
        close();
      }}
    >
      <fieldset class="segments" aria-label="Action">
        {actionsOf(line).map((a) => (
          <button type="button" key={a} title={ACTIONS[a].title} aria-pressed={a === action} onClick={() => choose(a)}>{ACTIONS[a].label}</button>
        ))}
      </fieldset>
      {action === 'limit' && (
        <>
          <label>concurrent requests <input class="short" inputMode="numeric" aria-label="Concurrent requests" value={limit} onInput={(e) => setLimit(e.currentTarget.value)} /></label>
          <label title="A request that takes longer is cancelled">time per slot <input class="short" aria-label="Time per slot" value={slot} onInput={(e) => setSlot(e.currentTarget.value)} /></label>
        </>
      )}
      {needsName && (
        <label>your name <input ref={focused === 'name' ? first : null} id="toggle-who" class="short" autocomplete="username" value={name} onInput={(e) => setName(e.currentTarget.value)} /></label>
      )}
      {needsToken && (
        <label>token <input ref={focused === 'token' ? first : null} id="toggle-token" type="password" autocomplete="off" value={secret} onInput={(e) => setSecret(e.currentTarget.value)} /></label>
      )}
      {action !== 'run' && (
        <label class="why">reason <input ref={focused === 'why' ? first : null} id="toggle-why" autocomplete="off" value={why} onInput={(e) => setWhy(e.currentTarget.value)} /></label>
      )}
      <button type="submit" class="primary" disabled={sending.value}>{submitLabel(action, line.name)}</button>
      <button type="button" class="ghost" onClick={close}>Cancel</button>
      <p class="meaning">
        {ACTIONS[action].title}. <span class="quiet"><kbd>Enter</kbd> submits, <kbd>Esc</kbd> cancels</span>
      </p>
      {caution !== null && <p class="caution">{caution}</p>}
      {refusal.value !== null && <p class="refused" role="alert">{refusal.value}</p>}
    </form>
  );
}

const submitLabel = (action: Action, name: string): string => (action === 'run' ? `Run ${name} now` : `${ACTIONS[action].label} ${name}`);
