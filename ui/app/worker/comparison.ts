// What the worker needs for comparisons.

export { readDiff, scaled } from '../logic/compare/diff';
export { rankOf } from '../logic/compare/rank';
export { caution } from '../logic/compare/words';
