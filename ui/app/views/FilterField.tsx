import { useRef } from 'preact/hooks';
import { usePageKeys } from './keys';

/** The filter of a page with a table, which `/` focuses and Escape clears. */
export function FilterField({ label, value, onChange }: { label: string; value: string; onChange: (text: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  usePageKeys(field);
  return (
    <input
      ref={field}
      id="filter"
      type="search"
      placeholder="Filter (/)"
      aria-label={label}
      spellcheck={false}
      autocomplete="off"
      value={value}
      onInput={(e) => onChange(e.currentTarget.value)}
      onKeyDown={(e) => e.key === 'Escape' && onChange('')}
    />
  );
}
