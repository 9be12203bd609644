// The browser test: against a running Davy that profiles itself (DAVY_URL), or, with --fixture, more
// checks against synthetic profiles.
import { launch } from './browser.mjs';
import { fixtureAppearance } from './appearance.mjs';
import { commonArchive, fixtureArchive } from './archive.mjs';
import { common } from './common.mjs';
import { fixtureCompare } from './compare.mjs';
import { fixtureCompareFiles } from './comparefiles.mjs';
import { fixtureExplore } from './explore.mjs';
import { fixtureEmpty } from './empty.mjs';
import { onlyFixture } from './fixture.mjs';
import { fixtureFiles } from './files.mjs';
import { commonFleet, fixtureFleet } from './workers.mjs';
import { fixtureFunctions } from './functions.mjs';
import { fixtureRobust } from './robust.mjs';
import { fixtureFold } from './fold.mjs';
import { commonIncident, fixtureIncident } from './incident.mjs';
import { commonMembers, fixtureMembers } from './members.mjs';
import { fixtureLayout } from './layout.mjs';
import { commonTrips } from './roundtrips.mjs';
import { onlyServer } from './svg.mjs';
import { fixtureTraces } from './traces.mjs';
import { fixtureViews } from './views.mjs';
import { fixtureHeat } from './heat.mjs';
import { fixtureSides } from './sides.mjs';
import { fixtureSource } from './source.mjs';
import { fixtureSubSecond } from './subsecond.mjs';
import { dayQuestions } from './day-questions.mjs';
import { fixtureQuestions } from './questions.mjs';
import { fixturePrint } from './print.mjs';
import { serve } from '../fixture/server.mjs';

const own = process.argv.includes('--fixture');
const fixture = own ? await serve() : null;
const url = fixture?.url ?? (process.env.DAVY_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
const only = process.argv.find((a) => a.startsWith('--only='))?.slice(7);
const browser = await launch();
let passed = 0;
const failures = [];
const both = [...common, ...commonIncident, ...commonMembers, ...commonArchive, ...commonFleet, ...commonTrips];
const checks = own ? [...both, ...onlyFixture, ...fixtureExplore, ...fixtureCompare, ...fixtureCompareFiles, ...fixtureFunctions, ...fixtureRobust, ...fixtureFiles, ...fixtureEmpty, ...fixtureFold, ...fixtureIncident, ...fixtureMembers, ...fixtureArchive, ...fixtureFleet, ...fixtureLayout, ...fixtureTraces, ...fixtureViews, ...fixtureHeat, ...fixtureSides, ...fixtureAppearance, ...fixtureSource, ...fixtureSubSecond, ...fixturePrint, ...fixtureQuestions] : [...both, ...onlyServer, ...dayQuestions];
for (const [name, check] of checks) {
  if (only && !new RegExp(only).test(name)) continue;
  try {
    await check(browser, url);
    console.log(`ok      ${name}`);
    passed++;
  } catch (error) {
    console.log(`failed  ${name}\n        ${String(error.stack ?? error).replaceAll('\n', '\n        ')}`);
    failures.push(name);
  } finally {
    for (const context of browser.contexts()) await context.close();
  }
}
await browser.close();
fixture?.server.close();
console.log(`${passed} passed, ${failures.length} failed`);
for (const name of failures) console.log(`failed  ${name}`);
process.exit(failures.length > 0 || passed === 0 ? 1 : 0);
