import type { ComponentChildren } from 'preact';
import { formatShare, formatValue } from '../logic/format';
import { cutName } from '../logic/names';
import { sourceLink } from '../logic/viewer';
import { source } from '../state/functionfacts';
import { rule, rules, rulesProblem } from '../state/viewer';

/** A link to a line of the repository, if a rule has its address. */
export function SourceLink({ of, children }: { of: { file: string; line: number; version: string }; children: ComponentChildren }) {
  const href = sourceLink(rule.value, of);
  return href === null ? <>{children}</> : <a href={href} target="_blank" rel="noopener noreferrer" title={href}>{children}</a>;
}

/** Functions of generated code can have very many lines. */
const ROWS = 500;

/** The lines of a function with their totals, in the order of the source. */
export function SourceTable({ unit }: { unit: string }) {
  const found = source.value;
  if (found === null) return <p class="hint" role="status" aria-busy="true">Loading the lines of the function…</p>;
  if (found.facts === null) return <p class="notice partial" role="alert"><span>The lines are not available. {found.problem}</span></p>;
  const { lines, total } = found.facts;
  const isKnown = lines.some(({ line, file }) => line > 0 && file !== '');
  if (!isKnown) return <p class="hint" id="no-lines">The profiles have no source lines of this function: its build has no debug information, or the agent does not send lines.</p>;
  const most = lines.reduce((m, one) => Math.max(m, one.total), 0);
  const isOfOne = lines.every(({ file }) => file === lines[0].file);
  const hasSource = rule.value?.source !== undefined;
  return (
    <div class="source-lines">
      <div class="source-scroll" tabIndex={0} role="group" aria-label="Source lines">
        <table id="lines" aria-label="Totals by source line">
          <thead><tr><th scope="col">line</th><th scope="col">self</th><th scope="col">total</th><th scope="col"><span class="visually-hidden">share</span></th></tr></thead>
          <tbody>
            {lines.slice(0, ROWS).map((one) => (
              <tr key={`${one.file}:${one.line}`}>
                <th scope="row" title={one.file}><SourceLink of={one}><bdi>{isOfOne ? '' : `${cutName(one.file.split('/').at(-1)!, 60)}:`}{one.line > 0 ? one.line : 'unknown'}</bdi></SourceLink></th>
                <td>{one.self > 0 ? formatValue(one.self, unit) : '–'}</td>
                <td>{formatValue(one.total, unit)} <b>{formatShare(one.total, total)}</b></td>
                <td class="line-bar" aria-hidden="true"><i style={{ width: `${most > 0 ? (100 * one.total) / most : 0}%` }} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">
        Percentages are of the function. Recursive calls count once a line.
        {lines.length > ROWS && ` The first ${ROWS} of ${lines.length} lines are shown.`}
        {rules.value !== null && !hasSource && rulesProblem.value === '' && <span id="no-source"> To link lines to a repository, set <code>source</code> of a rule in <code>[[viewer.services]]</code>.</span>}
        {rulesProblem.value !== '' && ` Links to the repository are not available. ${rulesProblem.value}`}
      </p>
    </div>
  );
}
