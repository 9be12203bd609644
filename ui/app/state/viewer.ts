// The rules for the frames of the shown service, which are requested when something needs them.

import { computed, signal } from '@preact/signals';
import { problemOf, problemText } from '../api/problem';
import { viewerRules } from '../api/viewer';
import { type ViewerRule, ownPattern, ruleOf } from '../logic/viewer';
import { service } from './explore';

/** Null until they are known; without an answer there are none. */
export const rules = signal<ViewerRule[] | null>(null);
/** Why they are not known; empty if they are. */
export const rulesProblem = signal('');
let asked = false;

export function needRules(): void {
  if (asked) return;
  asked = true;
  viewerRules().then((found) => { rules.value = found; }, (error) => {
    rulesProblem.value = problemText(problemOf(error));
    rules.value = [];
  });
}

export const rule = computed(() => ruleOf(rules.value ?? [], service.value));
/** The pattern of the service's own code; null without one. */
export const own = computed(() => ownPattern(rule.value));
