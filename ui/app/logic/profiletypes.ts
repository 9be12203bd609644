// Profile types: the names that people see.

import type { Unit } from './format';

const LABELS: Record<string, string> = {
  'process_cpu:cpu': 'CPU',
  'process_cpu:samples': 'CPU samples',
  'wall:wall': 'Wall time',
  'wall:samples': 'Wall samples',
  'memory:inuse_space': 'Heap in use',
  'memory:inuse_objects': 'Heap in use (objects)',
  'memory:alloc_space': 'Allocations',
  'memory:alloc_objects': 'Allocations (objects)',
  'tasks:tasks': 'Tasks',
  'tasks:age': 'Task age',
  'tasks:polls': 'Task polls',
};

/** `process_cpu:cpu:nanoseconds:cpu:nanoseconds` as "CPU"; a type without a label by the words of its id. */
export function typeLabel(id: string): string {
  const [name = '', type = ''] = id.split(':');
  return LABELS[`${name}:${type}`] ?? (type && type !== name ? `${name} ${type}` : name).replaceAll('_', ' ');
}

export function typeUnit(id: string): Unit {
  return id.split(':')[2] ?? '';
}

/** The type that is shown where one is missing: one of the same kind, CPU, or the first. */
export function insteadOf(type: string, known: string[]): string {
  const [family] = type.split(':');
  return known.find((t) => type !== '' && t.split(':')[0] === family) ?? known.find((t) => t.startsWith('process_cpu:cpu:')) ?? known.find((t) => t.startsWith('process_cpu:')) ?? known[0];
}
