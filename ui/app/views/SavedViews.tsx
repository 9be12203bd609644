import '../style/views.css';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { problemOf, problemText } from '../api/problem';
import { type View, list, remove, save } from '../api/views';
import { counted, formatTime } from '../logic/format';
import { asksToken, remember, token, who } from '../state/operator';

/** What the shown page would save. */
export interface Current {
  /** The address relative to the first page, with absolute times; null while nothing is shown. */
  link: () => string | null;
  title: () => string;
}

/** The list of saved views, and the form that saves what the page shows. */
export const savedViews = (current: Current): ComponentType<{ close: () => void }> => () => {
  const [views, setViews] = useState<View[] | null>(null);
  const [filter, setFilter] = useState('');
  const [problem, setProblem] = useState('');
  const [said, setSaid] = useState('');
  const [doomed, setDoomed] = useState('');
  const load = (): Promise<void> => list().then(setViews, (error: unknown) => setProblem(problemText(problemOf(error))));
  useEffect(() => { void load(); }, []);

  /** Changes something as the operator and loads the list again. */
  const run = async (name: string, secret: string, work: () => Promise<void>, done: string): Promise<boolean> => {
    if (name.trim() === '') {
      setProblem('Enter your name; the list of views shows it.');
      return false;
    }
    remember(name, secret);
    setProblem('');
    try {
      await work();
      asksToken.value = false;
      setSaid(done);
      await load();
      return true;
    } catch (error) {
      const of = problemOf(error);
      if (of.status === 401) asksToken.value = true;
      setProblem(of.detail || problemText(of));
      return false;
    }
  };
  const caller = () => ({ who: who.peek(), token: token.peek() });
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (views ?? []).filter((view) => words.every((word) => `${view.title} ${view.note} ${view.operator}`.toLowerCase().includes(word)));
  return (
    <div class="saved-views">
      <SaveForm current={current} onSave={(view, name, secret) => run(name, secret, () => save(view, caller()), `Saved “${view.title}”.`)} />
      {problem !== '' && <p class="hint bad" role="alert">{problem}</p>}
      <p class="hint" role="status" id="view-said">{said}</p>
      <h2>{views === null ? 'Saved views' : counted(views.length, 'saved view')}</h2>
      {(views?.length ?? 0) > 5 && <input type="search" id="view-filter" placeholder="Filter" aria-label="Filter saved views" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />}
      <ul id="views">
        {found.map((view) => (
          <li key={view.id}>
            <a href={`./${view.link}`}><bdi>{view.title}</bdi></a>
            {view.note !== '' && <p class="note"><bdi>{view.note}</bdi></p>}
            <span class="quiet"><bdi>{view.operator}</bdi>, {formatTime(view.at, Date.now())}</span>
            {doomed === view.id
              ? <button type="button" class="confirm" onClick={() => void run(who.peek(), '', () => remove(view.id, caller()), `Deleted “${view.title}”.`)}>Delete for everyone</button>
              : <button type="button" class="ghost delete" aria-label={`Delete ${view.title}`} onClick={() => setDoomed(view.id)}>Delete</button>}
          </li>
        ))}
      </ul>
    </div>
  );
};

interface FormProps {
  current: Current;
  onSave: (view: Pick<View, 'title' | 'note' | 'link'>, name: string, secret: string) => Promise<boolean>;
}

function SaveForm({ current, onSave }: FormProps) {
  const [title, setTitle] = useState(current.title());
  const [note, setNote] = useState('');
  const [name, setName] = useState(who.peek());
  const [secret, setSecret] = useState(token.peek());
  const link = current.link();
  const submit = (e: Event): void => {
    e.preventDefault();
    if (link !== null) void onSave({ title, note, link }, name, secret).then((isSaved) => { if (isSaved) setNote(''); });
  };
  return (
    <form onSubmit={submit} aria-label="Save this view">
      <label>title <input id="view-title" required maxLength={100} value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
      <label>note <textarea id="view-note" rows={2} maxLength={2000} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
      <label>your name <input id="view-who" autocomplete="username" value={name} onInput={(e) => setName(e.currentTarget.value)} /></label>
      {asksToken.value && <label>token <input id="view-token" type="password" autocomplete="off" value={secret} onInput={(e) => setSecret(e.currentTarget.value)} /></label>}
      <button type="submit" class="primary" disabled={link === null}>Save this view</button>
    </form>
  );
}
