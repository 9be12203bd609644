import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/** Components that are loaded already, which are shown at once: a key that follows must find them. */
const known = new WeakMap<() => Promise<unknown>, ComponentType>();

/** A component that is loaded when it is first shown, which a quiet one does not say. `load` must be the same function at every render. */
export function Lazy<P extends object = object>({ load, props, isQuiet = false }: { load: () => Promise<ComponentType<P>>; props?: P; isQuiet?: boolean }) {
  const [Part, setPart] = useState<ComponentType<P> | null>(() => (known.get(load) as ComponentType<P> | undefined) ?? null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let left = false;
    load().then((part) => { known.set(load as () => Promise<unknown>, part as ComponentType); if (!left) setPart(() => part); }, () => { if (!left) setFailed(true); });
    return () => { left = true; };
  }, [load]);
  if (failed) return <p class="hint pad" role="alert">This part of the page could not be loaded. Reload the page.</p>;
  if (Part === null && isQuiet) return null;
  return Part === null ? <p class="hint pad">Loading…</p> : <Part {...(props ?? ({} as P))} />;
}
