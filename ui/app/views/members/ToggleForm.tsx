import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ACTIONS, actionsOf, warning } from '../../logic/members/change';
import { doors, endpoints } from '../../state/fleet';
import { asksName, asksToken, choose, close, form, refusal, send, sending, token, who } from '../../state/toggling';

const USUAL_LIMIT = 2;
const USUAL_SLOT = '30s';

/** Why, and where it is needed who: Enter confirms, Escape leaves. */
export function ToggleForm() {
  const { line, action } = form.value!;
  const [why, setWhy] = useState('');
  const [name, setName] = useState(who.peek());
  const [secret, setSecret] = useState(token.peek());
  const [limit, setLimit] = useState(String(line.toggle?.limit ?? USUAL_LIMIT));
  const [slot, setSlot] = useState(line.toggle?.slot_seconds ? `${line.toggle.slot_seconds}s` : USUAL_SLOT);
  const first = useRef<HTMLInputElement>(null);
  const needsName = asksName.value;
  const needsToken = asksToken.value;
  // At once: a frame later, an Enter that follows the click would press the button again.
  useLayoutEffect(() => first.current?.focus(), [needsToken]);
  const submit = (e: Event): void => {
    e.preventDefault();
    void send({ why, who: name, token: needsToken ? secret : '', limit: limit.trim() === '' ? Number.NaN : Number(limit), slot });
  };
  const caution = warning(line, action, endpoints.value, doors.value);
  // The first field that is empty gets the focus.
  const at = needsToken ? 'token' : needsName && name === '' ? 'name' : 'why';
  const what = line.kind === 'operation' ? 'endpoint' : 'member';
  return (
    <form
      class="toggle-form"
      aria-label={`Toggle ${what} ${line.name}`}
      onSubmit={submit}
      onKeyDown={(e) => {
        if (e.key !== 'Escape') return;
        e.stopPropagation();
        close();
      }}
    >
      <fieldset class="segments" aria-label="What to do">
        {actionsOf(line).map((a) => (
          <button type="button" key={a} title={ACTIONS[a].title} aria-pressed={a === action} onClick={() => choose(a)}>{ACTIONS[a].label}</button>
        ))}
      </fieldset>
      {action === 'limit' && (
        <>
          <label>to <input class="short" inputMode="numeric" aria-label="Requests at a time" value={limit} onInput={(e) => setLimit(e.currentTarget.value)} /> at a time,</label>
          <label><input class="short" aria-label="For how long each" value={slot} onInput={(e) => setSlot(e.currentTarget.value)} /> each</label>
        </>
      )}
      {needsName && (
        <label>you are <input ref={at === 'name' ? first : null} id="toggle-who" class="short" autocomplete="username" value={name} onInput={(e) => setName(e.currentTarget.value)} /></label>
      )}
      {needsToken && (
        <label>token <input ref={at === 'token' ? first : null} id="toggle-token" type="password" autocomplete="off" value={secret} onInput={(e) => setSecret(e.currentTarget.value)} /></label>
      )}
      {action !== 'wake' && (
        <label class="why">why <input ref={at === 'why' ? first : null} id="toggle-why" autocomplete="off" value={why} onInput={(e) => setWhy(e.currentTarget.value)} /></label>
      )}
      <button type="submit" class="primary" disabled={sending.value}>{confirmWord(action, line.name)}</button>
      <button type="button" class="ghost" onClick={close}>Leave</button>
      <p class="meaning">
        {ACTIONS[action].title}. <span class="quiet"><kbd>Enter</kbd> confirms, <kbd>Esc</kbd> leaves</span>
      </p>
      {caution !== null && <p class="caution">{caution}</p>}
      {refusal.value !== null && <p class="refused" role="alert">{refusal.value}</p>}
    </form>
  );
}

function confirmWord(action: keyof typeof ACTIONS, name: string): string {
  switch (action) {
    case 'off': return `Toggle ${name} off`;
    case 'on': return `Toggle ${name} on`;
    case 'limit': return `Limit ${name}`;
    case 'restart': return `Restart ${name}`;
    case 'wake': return `Run ${name} now`;
  }
}
