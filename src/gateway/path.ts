/** The database of a URL without one. */
export const DEFAULT_DATABASE = 'main';

/** What every route begins with; a database cannot be called so. */
const ROUTE = /^\/(?:v\d|healthz|metrics)(?:[/-]|$)/;

/** `/{database}/v1/query` names a database by its base URL; `/v1/query` is that of `main`. */
export function splitPath(url: string): { readonly database: string; readonly path: string } {
  const path = pathOf(url);
  if (path.startsWith('/v1/') || ROUTE.test(path)) return { database: DEFAULT_DATABASE, path };
  const slash = path.indexOf('/', 1);
  const rest = slash < 0 ? '' : path.slice(slash);
  if (!ROUTE.test(rest)) return { database: DEFAULT_DATABASE, path };
  return { database: decoded(path.slice(1, slash)), path: rest };
}

/** The path of a request's URL. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  if (start < 0) return '/';
  // A request's URL has no fragment.
  const end = url.indexOf('?', start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
