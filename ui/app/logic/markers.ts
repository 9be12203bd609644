// What happened in the fleet, as marks on the timeline: a version that was first seen, starts of processes, and changes by
// operators.

import type { AuditRow, ProcessRow } from '../api/types';
import type { Span } from './range';

export type MarkKind = 'version' | 'start' | 'change';

export interface Mark {
  at: number;
  kind: MarkKind;
  text: string;
}

export const MARK_SIGNS: Record<MarkKind, string> = { version: 'V', start: 'S', change: 'C' };
/** Marks that are closer than this share of the range are one. */
const NEAR = 0.008;

/** `endpoint.disable` of `ListAllJobs` by ada: too slow */
function ofChange({ at, operator, what, name, why }: AuditRow): Mark {
  const [target, action = ''] = what.split('.');
  const reason = why ? `: ${why}` : '';
  return { at, kind: 'change', text: `${action} ${target} ${name} by ${operator}${reason}` };
}

/** The marks of a range, in their order. A version is new if no older process had it. */
export function marksOf(processes: readonly ProcessRow[], audit: readonly AuditRow[], span: Span): Mark[] {
  const seen = new Set<string>();
  const marks: Mark[] = [];
  const started = [...processes].sort((a, b) => a.started_at - b.started_at);
  started.forEach(({ started_at: at, kind, host, pid, version }, i) => {
    // Nothing older is known than the first process, so its version may be older.
    const isNew = i > 0 && !seen.has(version);
    seen.add(version);
    marks.push(isNew ? { at, kind: 'version', text: `version ${version} started: ${kind} (${pid}) on ${host}` } : { at, kind: 'start', text: `${kind} (${pid}) started on ${host}` });
  });
  marks.push(...audit.map(ofChange));
  return marks.filter(({ at }) => at >= span.from && at < span.until).sort((a, b) => a.at - b.at);
}

export interface Group {
  at: number;
  kind: MarkKind;
  marks: Mark[];
}

const RANK: MarkKind[] = ['version', 'change', 'start'];

/** Marks near each other as one, whose kind is that of the most important. */
export function groupsOf(marks: readonly Mark[], span: Span): Group[] {
  const groups: Group[] = [];
  const near = (span.until - span.from) * NEAR;
  for (const mark of marks) {
    const last = groups.at(-1);
    if (last === undefined || mark.at - last.at > near) groups.push({ at: mark.at, kind: mark.kind, marks: [mark] });
    else {
      last.marks.push(mark);
      if (RANK.indexOf(mark.kind) < RANK.indexOf(last.kind)) last.kind = mark.kind;
    }
  }
  return groups;
}
