// What the worker needs for comparisons.

export { readDiff, scaled } from '../logic/compare/diff';
export { rankOf } from '../logic/compare/rank';
export { join } from '../logic/compare/join';
export { fitting } from '../logic/compare/words';
