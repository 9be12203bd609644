// What went wrong, as a sentence that a person can act on.

export interface Problem {
  title: string;
  detail: string;
  /** The HTTP status; 0 when no answer came. */
  status: number;
}

/** RFC 9457; whatever else arrives is told by its status. */
export function problemFrom(status: number, contentType: string, body: string): Problem {
  if (/\bjson\b/.test(contentType)) {
    try {
      const doc = JSON.parse(body) as { title?: unknown; detail?: unknown };
      const title = typeof doc.title === 'string' ? doc.title : titleOf(status);
      return { title, detail: typeof doc.detail === 'string' ? doc.detail : '', status };
    } catch {
      // It said JSON and is not: told by its status below.
    }
  }
  const text = /\bplain\b/.test(contentType) ? body.trim().slice(0, 300) : '';
  return { title: titleOf(status), detail: text, status };
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof TypeError) {
    return { title: 'Davy cannot be reached', detail: 'No answer came. Is the process still up?', status: 0 };
  }
  return { title: error instanceof Error ? error.message : String(error), detail: '', status: 0 };
}

const REASONS =
  /^(bad request|unauthorized|forbidden|not found|not acceptable|conflict|payload too large|content too large|unprocessable (entity|content)|too many requests|internal server error|bad gateway|service unavailable|gateway timeout)$/i;

export function sentence({ title, detail, status }: Problem): string {
  // "Bad Request" says nothing that the detail and the status don't.
  const bare = detail !== '' && REASONS.test(title);
  const parts = [bare ? '' : title, detail].map((t) => t.trim().replace(/\.$/, '')).filter(Boolean);
  const unique = parts.filter((t, i) => parts.indexOf(t) === i);
  const joined = unique.map((t) => t[0].toUpperCase() + t.slice(1)).join('. ');
  const said = `${joined}${status > 0 ? ` (HTTP ${status})` : ''}`;
  return /[?!]$/.test(said) ? said : `${said}.`;
}

function titleOf(status: number): string {
  if (status === 404) return 'The server does not know this request';
  if (status === 429) return 'The server is limiting this request';
  if (status === 503) return 'This part of the server is disabled or not ready';
  if (status >= 500) return 'The server failed';
  return 'The server refused the request';
}

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(sentence(problem));
  }
}
