import type { ArchiveOverview } from '../../api/types';
import { bytesText, dueText, isLate, keptName, lagText, levelName, periodText, waitingText } from '../../logic/archive/texts';
import { counted, formatCount, formatDuration, formatTime } from '../../logic/format';
import { clock } from '../../state/archive';

/** What of a level waits to be merged. */
const waiting: Record<string, string> = { segment: 'hour', hour: 'day', day: 'month' };

/** What each level holds, and what waits to be merged. */
export function Levels({ of }: { of: ArchiveOverview }) {
  const others = [
    { name: 'Symbols', ...of.symbols },
    { name: 'Quarantine', objects: of.quarantine.objects, bytes: of.quarantine.bytes },
  ].filter(({ objects }) => objects > 0);
  return (
    <section aria-labelledby="levels-title" tabIndex={0}>
      <h2 id="levels-title">Levels</h2>
      <table id="levels">
        <thead>
          <tr>
            <th>Level</th><th class="number">Number</th><th class="number">Size</th><th class="when">Oldest, UTC</th><th class="when">Newest, UTC</th>
            <th class="number" title="Time since the end of the oldest hour or day that the next level does not hold">Lag</th>
            <th class="number" title="Hours, days or months that are due to be merged">Backlog</th>
          </tr>
        </thead>
        <tbody>
          {of.levels.map((level) => (
            <tr key={level.level}>
              <td>{levelName(level.level)}</td>
              <td class="number">{level.pieces === 0 ? '–' : formatCount(level.pieces)}</td>
              <td class="number">{level.pieces === 0 ? '–' : bytesText(level.bytes)}</td>
              <td class="when">{periodText(level.first)}</td>
              <td class="when">{periodText(level.last)}</td>
              <td class={isLate(level) ? 'number late' : 'number'}>{lagText(level)}</td>
              <td class="number">{level.backlog === 0 ? '–' : counted(level.backlog, waiting[level.level] ?? 'piece')}</td>
            </tr>
          ))}
          {others.map(({ name, objects, bytes }) => (
            <tr key={name}><td>{name}</td><td class="number">{formatCount(objects)}</td><td class="number">{bytesText(bytes)}</td><td colSpan={4} /></tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** How long each level is kept, and what is deleted next. */
export function Retention({ of }: { of: ArchiveOverview }) {
  const { levels, rules, due_within_seconds } = of.retention;
  return (
    <section aria-labelledby="retention-title" tabIndex={0}>
      <h2 id="retention-title">Retention</h2>
      <table id="retention">
        <thead>
          <tr>
            <th>What</th><th class="number">Kept for</th>
            <th class="number">Deleted within {formatDuration(due_within_seconds * 1000)}</th>
            <th class="number" title="Older, but kept because no day block has its sums">Overdue</th>
          </tr>
        </thead>
        <tbody>
          {levels.map((level) => (
            <tr key={level.level}>
              <td>{keptName(level.level)}</td>
              <td class="number">{formatDuration(level.seconds * 1000)}</td>
              <td class="number">{dueText(level)}</td>
              <td class={level.waiting_pieces > 0 ? 'number late' : 'number'}>{waitingText(level)}</td>
            </tr>
          ))}
          {rules.map((rule, i) => (
            <tr key={i} class="rule">
              <td class="mono key">{rule.selector}</td>
              <td class="number">{formatDuration(rule.seconds * 1000)}</td>
              <td class="number" title="The series of the rule in blocks that are replaced by ones without them">
                {rule.due_blocks === 0 ? '–' : `${counted(rule.due_blocks, 'block')}, about ${bytesText(rule.due_bytes)}`}
              </td>
              <td class="number">–</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">Set by archive.windows_retention, archive.hours_retention, archive.days_retention and [[archive.retention_rules]]. <code>davy archive retain --dry-run</code> lists what would go.</p>
    </section>
  );
}

/** The newest damaged objects. */
export function Quarantine({ of }: { of: ArchiveOverview }) {
  const { last, objects, bytes } = of.quarantine;
  return (
    <section aria-labelledby="quarantine-title" class="wide" tabIndex={0}>
      <h2 id="quarantine-title">Quarantine</h2>
      <table id="quarantine">
        <thead><tr><th>Copied</th><th>Reason</th><th class="number">Size</th><th>Object</th></tr></thead>
        <tbody>
          {last.map((one) => (
            <tr key={`${one.key} ${one.at}`}>
              <td class="when">{formatTime(one.at, clock.value)}</td><td>{one.reason}</td><td class="number">{bytesText(one.bytes)}</td><td class="mono key">{one.key}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">
        {last.length < objects && `The newest ${last.length} of ${formatCount(objects)}. `}Copies of damaged objects, {bytesText(bytes)}. Nothing reads or deletes them.
      </p>
    </section>
  );
}
