import type { ArchiveCharges, ArchiveOverview } from '../../api/types';
import { KINDS, type RequestLine, missingText, moneyText, perMonth, requestLines } from '../../logic/archive/requests';
import { bytesText, folderName } from '../../logic/archive/texts';
import { formatCount, formatDuration, formatTime } from '../../logic/format';
import { clock } from '../../state/archive';

const HEADS: Record<(typeof KINDS)[number], string> = { put: 'Writes', get: 'Reads', list: 'Listings', delete: 'Deletions' };

/** Requests to the bucket, and what they cost. */
export function Costs({ of }: { of: ArchiveOverview }) {
  const { since, rows } = of.requests;
  const { lines, sum } = requestLines(rows);
  const { charges } = of;
  return (
    <section aria-labelledby="requests-title" tabIndex={0}>
      <h2 id="requests-title">Requests to the bucket</h2>
      <table id="requests">
        <thead>
          <tr>
            <th>Level</th>
            {KINDS.map((kind) => <th class="number" key={kind}>{HEADS[kind]}</th>)}
            <th class="number">Written</th><th class="number">Read</th>
            {charges !== null && <th class="number">Cost</th>}
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => <Line key={line.level} line={line} name={folderName(line.level)} charges={charges} />)}
        </tbody>
        <tfoot><Line line={sum} name="All" charges={charges} /></tfoot>
      </table>
      <p class="hint">
        Of the process that answers, since {formatTime(since, clock.value, false)} ({formatDuration(Math.max(1000, of.listed_at - since))}). Other archivers count their own: davy_archive_bucket_requests_total.
      </p>
      {charges === null ? <NoPrices /> : <Charges charges={charges} elapsed={of.listed_at - since} />}
    </section>
  );
}

function Line({ line, name, charges }: { line: RequestLine; name: string; charges: ArchiveCharges | null }) {
  const bytes = (n: number): string => (n === 0 ? '–' : bytesText(n));
  return (
    <tr>
      <td>{name}</td>
      {KINDS.map((kind) => <td class="number" key={kind}>{line.requests[kind] === 0 ? '–' : formatCount(line.requests[kind])}</td>)}
      <td class="number">{bytes(line.written)}</td>
      <td class="number">{bytes(line.read)}</td>
      {charges !== null && <td class="number">{line.charge === null ? '–' : moneyText(line.charge, charges.currency)}</td>}
    </tr>
  );
}

function Charges({ charges, elapsed }: { charges: ArchiveCharges; elapsed: number }) {
  const { currency, requests, transfer, storage_per_month } = charges;
  const rate = (amount: number | null): string => {
    const month = amount === null ? null : perMonth(amount, elapsed);
    return month === null ? '–' : moneyText(month, currency);
  };
  const now = (amount: number | null): string => (amount === null ? '–' : moneyText(amount, currency));
  const missing = missingText(charges);
  return (
    <>
      <table id="charges">
        <thead><tr><th>Cost</th><th class="number">Since the start</th><th class="number">In 30 days at this rate</th></tr></thead>
        <tbody>
          <tr><td>Requests</td><td class="number">{now(requests)}</td><td class="number">{rate(requests)}</td></tr>
          <tr><td>Transfer</td><td class="number">{now(transfer)}</td><td class="number">{rate(transfer)}</td></tr>
          <tr><td>Storage</td><td class="number">–</td><td class="number">{now(storage_per_month)}</td></tr>
        </tbody>
      </table>
      {missing !== '' && <p class="hint" id="missing-prices">{missing}</p>}
    </>
  );
}

/** How to see costs. */
function NoPrices() {
  return (
    <div id="no-prices">
      <p class="hint">To see what this costs, put the prices of your provider into davy.toml and restart Davy:</p>
      <pre>{`[bucket.prices]
currency = "USD"
put_per_1000 = 0.005
list_per_1000 = 0.005
get_per_1000 = 0.0004
delete_per_1000 = 0
storage_per_gb_month = 0.023
transfer_per_gb = 0`}</pre>
    </div>
  );
}
