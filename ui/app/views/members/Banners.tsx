import { problemText } from '../../api/problem';
import { formatDuration, formatTime } from '../../logic/format';
import { healthText } from '../../logic/members/notes';
import { type Part, clock, debugListeners, health, lost, problems, seenAt } from '../../state/fleet';

const PART_NAMES: Record<Exclude<Part, 'members'>, string> = {
  endpoints: 'Endpoints and their toggles',
  changes: 'Recent changes',
  health: 'Health',
};

/** Health issues of the fleet, and failed requests of this page. */
export function Banners() {
  const issues = healthText(health.value);
  const failed = (Object.keys(PART_NAMES) as Exclude<Part, 'members'>[]).filter((name) => problems.value[name] !== undefined);
  return (
    <div class="notices">
      {lost.value !== null ? (
        <p class="notice error" role="alert" id="lost">
          <span>
            <b>Members could not be loaded.</b> {problemText(lost.value)}{' '}
            {/* The age changes every second and is not announced. */}
            {seenAt.value > 0 && (
              <span aria-live="off">Showing data from {formatTime(seenAt.value, clock.value)}, {formatDuration(Math.max(1000, clock.value - seenAt.value))} old.</span>
            )}{' '}
            Retrying.
            {lost.value.status === 503 && debugListeners.value.length > 0 && ` Debug ports accept toggles too: ${debugListeners.value.join(', ')}.`}
          </span>
        </p>
      ) : (
        <>
          {issues !== null && (
            <p class={issues.tone === 'bad' ? 'notice error' : 'notice partial'} role="alert" id="health">
              <span><b>{health.value?.status === 'failing' ? 'Failing' : 'Degraded'}.</b> {issues.text}</span>
            </p>
          )}
          {failed.map((name) => (
            <p class="notice partial" role="status" key={name}>
              <span><b>{PART_NAMES[name]} could not be loaded.</b> {problemText(problems.value[name]!)} Showing the last data received.</span>
            </p>
          ))}
        </>
      )}
    </div>
  );
}
