// The operator's name and token, which changes are made with. The name is kept, the token until the tab is closed.

import { signal } from '@preact/signals';

const WHO = 'davy.who';
const TOKEN = 'davy.token';

// A browser may forbid storage. Forms then ask for the name every time the page is loaded.
function stored(storage: () => Storage, key: string): string {
  try {
    return storage().getItem(key) ?? '';
  } catch {
    return '';
  }
}
function store(storage: () => Storage, key: string, value: string): void {
  try {
    storage().setItem(key, value);
  } catch {
    // See above.
  }
}

export const who = signal(stored(() => localStorage, WHO));
export const token = signal(stored(() => sessionStorage, TOKEN));
/** Whether the server has refused a change without its token. */
export const asksToken = signal(false);

export function remember(name: string, secret: string): void {
  who.value = name.trim();
  store(() => localStorage, WHO, who.peek());
  if (secret.trim() !== '') {
    token.value = secret.trim();
    store(() => sessionStorage, TOKEN, token.peek());
  }
}
