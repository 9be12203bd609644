import { sentence } from '../../api/problem';
import { formatDuration, formatTime } from '../../logic/format';
import { healthWords } from '../../logic/members/notes';
import { type Part, clock, doors, health, lost, problems, seenAt } from '../../state/fleet';

const WHAT: Record<Exclude<Part, 'members'>, string> = {
  endpoints: 'The endpoints and their toggles',
  changes: 'The recent changes',
  health: 'The health',
};

/** What is wrong with the fleet, and with what this page knows of it. */
export function Banners() {
  const said = healthWords(health.value);
  const parts = (Object.keys(WHAT) as Exclude<Part, 'members'>[]).filter((name) => problems.value[name] !== undefined);
  return (
    <div class="notices">
      {lost.value !== null ? (
        <p class="notice error" role="alert" id="lost">
          <span>
            <b>The members could not be asked.</b> {sentence(lost.value)}{' '}
            {/* The age goes on ticking, and is not announced each second. */}
            {seenAt.value > 0 && (
              <span aria-live="off">What is shown is {formatDuration(Math.max(1000, clock.value - seenAt.value))} old, from {formatTime(seenAt.value, clock.value)}.</span>
            )}{' '}
            This page keeps asking.
            {lost.value.status === 503 && doors.value.length > 0 && ` Toggles are also taken at the debug ports: ${doors.value.join(', ')}.`}
          </span>
        </p>
      ) : (
        <>
          {said !== null && (
            <p class={said.tone === 'bad' ? 'notice error' : 'notice partial'} role="alert" id="health">
              <span><b>{health.value?.status === 'failing' ? 'Failing' : 'Degraded'}.</b> {said.text}</span>
            </p>
          )}
          {parts.map((name) => (
            <p class="notice partial" role="status" key={name}>
              <span><b>{WHAT[name]} could not be asked.</b> {sentence(problems.value[name]!)} What is shown of them is from before.</span>
            </p>
          ))}
        </>
      )}
    </div>
  );
}
