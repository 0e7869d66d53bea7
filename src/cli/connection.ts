import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, type ClientOptions, createClient } from '../client/index.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8787';
export const DEFAULT_DATA = '.atoll';
/** Where `atoll dev` keeps its admin token, in its data directory. */
export const TOKEN_FILE = 'token';

/** Options that every command which talks to a cluster has. */
export interface ConnectionOptions {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly data?: string | undefined;
}

/**
 * A client from options, else environment, else what `atoll dev` left in this directory. That token is for
 * this machine only: it is never sent to another host.
 */
export function connect(
  options: ConnectionOptions,
  settings: Omit<ClientOptions, 'url' | 'token'> = {},
): Client {
  const url = resolveUrl(options);
  const token =
    options.token ?? present(process.env.ATOLL_TOKEN) ?? storedToken(url, options.data ?? DEFAULT_DATA);
  return createClient({ ...settings, url, ...(token === undefined ? {} : { token }) });
}

export function resolveUrl(options: ConnectionOptions): string {
  return options.url ?? present(process.env.ATOLL_URL) ?? DEFAULT_URL;
}

function storedToken(url: string, directory: string): string | undefined {
  if (!URL.canParse(url) || !isLoopback(new URL(url).hostname)) return undefined;
  try {
    return present(readFileSync(join(directory, TOKEN_FILE), 'utf8').trim());
  } catch {
    return undefined;
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
}

function present(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
