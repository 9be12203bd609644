// Matches names in a worker of its own, which the page terminates when a regular expression takes too long.

import { compile, matchNames } from '../logic/search';
import type { RegexReply, RegexRequest } from './matcher';

const lists = new Map<number, string[]>();
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<RegexRequest>) => void) | null;
  postMessage(message: RegexReply): void;
};

scope.onmessage = ({ data: { id, list, names, forget, text } }) => {
  scope.postMessage({ id, begun: true });
  if (names !== null) lists.set(list, names);
  for (const old of forget) lists.delete(old);
  const query = compile(text);
  const known = lists.get(list) ?? [];
  scope.postMessage({ id, hit: query === null ? new Uint8Array(known.length) : matchNames(known, query), note: query?.note ?? null });
};
