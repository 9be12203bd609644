// Commands that push a profile, as the empty state suggests them.

/** The text as one argument of a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export const davyPush = (service: string): string =>
  `davy push cpu.pb.gz --service ${/^[\w.:@][\w.:@-]*$/.test(service) ? service : quoted(service)}`;

/** The archiver's port, on the host that served the page. */
const ARCHIVER_PORT = 4040;

export function curlPush(service: string, hostname: string): string {
  const host = hostname === '' ? '127.0.0.1' : hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname;
  const url = `http://${host}:${ARCHIVER_PORT}/ingest?name=${encodeURIComponent(service)}&format=folded`;
  return `printf 'main;handle;parse 42\\n' |\n  curl --data-binary @- ${quoted(url)}`;
}
