// Saved views: links with a title and a note.

import { type Caller, refusal, send } from './control';

export interface View {
  id: string;
  title: string;
  /** Empty without a note. */
  note: string;
  /** The address, relative to the first page. */
  link: string;
  operator: string;
  at: number;
}

const LIMIT = 2_000;

export async function list(): Promise<View[]> {
  const response = await send(`views?limit=${LIMIT}`, { headers: { accept: 'application/json' } });
  if (!response.ok) throw await refusal(response);
  return ((await response.json()) as { views: View[] }).views;
}

async function change(path: string, method: string, { who, token }: Caller, body?: object): Promise<void> {
  const headers: Record<string, string> = { accept: 'application/json', 'content-type': 'application/json', 'davy-user': who };
  if (token !== '') headers['authorization'] = `Bearer ${token}`;
  const response = await send(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw await refusal(response);
}

export const save = (view: Pick<View, 'title' | 'note' | 'link'>, caller: Caller): Promise<void> => change('views', 'POST', caller, view);
export const remove = (id: string, caller: Caller): Promise<void> => change(`views/${encodeURIComponent(id)}`, 'DELETE', caller);
