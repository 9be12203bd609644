import type { ArchiveOverview } from '../../api/types';
import { bytesText } from '../../logic/archive/texts';
import { formatCount, formatShare } from '../../logic/format';
import { withService } from '../../logic/selector';
import { DEFAULTS, toUrl } from '../../logic/urlstate';
import { allServices } from '../../state/archive';

const SHOWN = 12;

/** The largest services. */
export function Services({ of }: { of: ArchiveOverview }) {
  const { services, services_cut, blocks, blocks_counted } = of;
  const listed = allServices.value ? services : services.slice(0, SHOWN);
  const sum = services.reduce((all, one) => all + one.hour_bytes + one.day_bytes + one.month_bytes, 0);
  return (
    <section aria-labelledby="services-title" tabIndex={0}>
      <h2 id="services-title">Services</h2>
      {services.length === 0 ? <p class="hint">No blocks yet: segments are merged when their hour is over.</p> : (
        <table id="services">
          <thead><tr><th>Service</th><th class="number">Hour blocks</th><th class="number">Day blocks</th><th class="number">Month blocks</th><th class="number">Share</th></tr></thead>
          <tbody>
            {listed.map(({ service, hour_bytes, day_bytes, month_bytes }) => (
              <tr key={service}>
                <td class="service"><a href={`./explore${toUrl({ ...DEFAULTS, matchers: withService(service) })}`} title={`Flame graph of ${service}`}>{service}</a></td>
                <td class="number">{hour_bytes === 0 ? '–' : bytesText(hour_bytes)}</td>
                <td class="number">{day_bytes === 0 ? '–' : bytesText(day_bytes)}</td>
                <td class="number">{month_bytes === 0 ? '–' : bytesText(month_bytes)}</td>
                <td class="number">{formatShare(hour_bytes + day_bytes + month_bytes, sum)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p class="hint">
        {listed.length < services.length && <button type="button" class="ghost" id="all-services" onClick={() => { allServices.value = true; }}>Show all {formatCount(services.length)}</button>}
        {services_cut > 0 && ` ${formatCount(services_cut)} smaller services are not listed.`}
        {blocks_counted < blocks && ` Counted in the newest ${formatCount(blocks_counted)} of ${formatCount(blocks)} blocks.`}
      </p>
    </section>
  );
}
