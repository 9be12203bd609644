// What the worker needs to merge the call paths of a tree that is loaded.

export { filtered, reshape } from '../logic/merge';
export { sandwich } from '../logic/sandwich';
