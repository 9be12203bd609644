// Failed requests, as sentences that a person can act on.

export interface Problem {
  title: string;
  detail: string;
  /** The HTTP status; 0 if there was no response. */
  status: number;
}

/** `fetch` rejects with a TypeError when the connection fails. */
const UNREACHABLE: Problem = { title: 'Cannot connect to Davy', detail: 'Check that the process is running', status: 0 };
/** The headers of a response have arrived, so the server was reached. */
export const CUT: Problem = { title: 'The response was cut off', detail: 'The connection to Davy closed before the response was complete', status: 0 };

/** What the server says of a member or endpoint that an operator disabled, also with the status 503. */
const DISABLED = /\b(is|was) disabled\b/;

/**
 * Whether the same request can succeed a little later: the connection failed, or a server or proxy is not ready. A request that
 * timed out at a proxy (504) would be as expensive again.
 */
export const isTemporary = (problem: Problem): boolean =>
  problem === UNREACHABLE || problem === CUT || problem.status === 502 || (problem.status === 503 && !DISABLED.test(`${problem.title} ${problem.detail}`));

/** Reads an RFC 9457 problem document; any other body is described by its status. */
export function problemFrom(status: number, contentType: string, body: string): Problem {
  if (/\bjson\b/.test(contentType)) {
    try {
      const doc = JSON.parse(body) as { title?: unknown; detail?: unknown };
      const title = typeof doc.title === 'string' ? doc.title : titleOf(status);
      return { title, detail: typeof doc.detail === 'string' ? doc.detail : '', status };
    } catch {
      // Labelled JSON but invalid: described by its status below.
    }
  }
  const text = /\bplain\b/.test(contentType) ? body.trim().slice(0, 300) : '';
  return { title: titleOf(status), detail: text, status };
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof TypeError) return UNREACHABLE;
  return { title: error instanceof Error ? error.message : String(error), detail: '', status: 0 };
}

const REASONS =
  /^(bad request|unauthorized|forbidden|not found|not acceptable|conflict|payload too large|content too large|unprocessable (entity|content)|too many requests|internal server error|bad gateway|service unavailable|gateway timeout)$/i;

export function problemText({ title, detail, status }: Problem): string {
  // A title that is only the status's reason phrase adds nothing to the detail.
  const redundant = detail !== '' && REASONS.test(title);
  const parts = [redundant ? '' : title, detail].map((t) => t.trim().replace(/\.$/, '')).filter(Boolean);
  const unique = parts.filter((t, i) => parts.indexOf(t) === i);
  const joined = unique.map((t) => t[0].toUpperCase() + t.slice(1)).join('. ');
  const text = `${joined}${status > 0 ? ` (HTTP ${status})` : ''}`;
  return /[?!]$/.test(text) ? text : `${text}.`;
}

function titleOf(status: number): string {
  if (status === 404) return 'Not found';
  if (status === 429) return 'Too many requests: the endpoint is limited';
  if (status === 503) return 'Service unavailable: this part of the server is disabled or not ready';
  if (status >= 500) return 'Server error';
  return 'Request refused';
}

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problemText(problem));
  }
}
