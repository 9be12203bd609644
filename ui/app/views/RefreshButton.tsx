/** Requests everything again. */
export function RefreshButton({ isBusy, title = 'Refresh now', onClick }: { isBusy: boolean; title?: string; onClick: () => void }) {
  return (
    <button type="button" class={isBusy ? 'icon busy' : 'icon'} title={title} aria-label="Refresh now" onClick={onClick}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d="M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 1.5v3h-3" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" />
      </svg>
    </button>
  );
}
