// Writes the state of a page to its address.

/** Browsers limit how often a page writes its address. */
const TYPED_MS = 250;

/**
 * `push` adds an entry to the browser's history; `replace`, used for display options, does not. The address follows text that
 * is being typed when the typing pauses.
 */
export type HistoryMode = 'push' | 'replace' | 'typed';

export class Address {
  /** Set while text that is being typed is not in the address yet. */
  private typing: ReturnType<typeof setTimeout> | undefined;

  /** `url` is the query and the fragment for the current state. */
  constructor(private readonly url: () => string) {}

  /** Changes the state and writes it. What was typed before a new entry of the history belongs to the entry before. */
  update(change: () => void, mode: HistoryMode): void {
    if (mode === 'push' && this.typing !== undefined) this.write('replace');
    change();
    if (mode !== 'typed') return this.write(mode);
    this.forget();
    this.typing = setTimeout(() => this.write('replace'), TYPED_MS);
  }

  /** The address was changed by the browser: what was being typed is not written to it. */
  forget(): void {
    clearTimeout(this.typing);
    this.typing = undefined;
  }

  private write(mode: 'push' | 'replace'): void {
    this.forget();
    const url = this.url();
    if (url === location.search + location.hash) return;
    // A frame has another base than its own address.
    const target = location.pathname + url;
    if (mode === 'push') history.pushState(null, '', target);
    else history.replaceState(null, '', target);
  }
}
