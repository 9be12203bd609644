// The lines of a log that are shown: the last ones, bounded.

/** Lines that are kept; older ones are dropped and counted. */
export const LINES_MAX = 5_000;

export interface LogLines {
  lines: string[];
  /** Whether the last line has no end yet. */
  isOpen: boolean;
  dropped: number;
}

export const NO_LINES: LogLines = { lines: [], isOpen: false, dropped: 0 };

/** Terminal colours and cursor movements are not shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b[@-Z\\-_]/g;

/** A carriage return overwrites its line, as progress bars do: the next text of an open line, if it is at its end. */
function overwritten(line: string, isOpen: boolean): string {
  if (!line.includes('\r')) return line;
  const last = line.slice(line.lastIndexOf('\r', line.length - 2) + 1);
  return isOpen ? last : last.replace(/\r$/, '');
}

/** The lines after more of the log. A part may begin or end in the middle of a line. */
export function appended(before: LogLines, text: string): LogLines {
  if (text === '') return before;
  const parts = text.replaceAll('\r\n', '\n').replaceAll(ESCAPES, '').split('\n');
  const isOpen = parts.at(-1) !== '';
  if (!isOpen) parts.pop();
  const lines = before.isOpen && parts.length > 0
    ? [...before.lines.slice(0, -1), (before.lines.at(-1) ?? '') + parts[0], ...parts.slice(1)]
    : [...before.lines, ...parts];
  const stillOpen = isOpen || (before.isOpen && parts.length === 0);
  const shown = lines.map((line, i) => overwritten(line, stillOpen && i === lines.length - 1));
  const extra = Math.max(0, shown.length - LINES_MAX);
  return { lines: extra > 0 ? shown.slice(extra) : shown, isOpen: stillOpen, dropped: before.dropped + extra };
}
