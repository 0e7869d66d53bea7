import { connect, type Socket } from 'node:net';

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Load {
  readonly url: URL;
  readonly connections: number;
  readonly requests: number;
  /** Body of request `index`. */
  readonly body: (index: number) => string;
  readonly token?: string;
  /** At most so many a second; else as many as are answered. */
  readonly perSecond?: number;
}

/**
 * Sends POST requests over keep-alive connections, one at a time on each, and times every answer. A bare socket:
 * the client shares the machine with what it measures. Rejects on any answer but 200.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const times: number[] = [];
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: load.connections }, async () => {
      const socket = connect(Number(load.url.port), load.url.hostname);
      socket.setNoDelay(true);
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      try {
        while (next < load.requests) {
          const index = next++;
          if (load.perSecond !== undefined) await reached(started + (index * 1000) / load.perSecond);
          const sent = performance.now();
          await exchange(socket, load, index);
          times.push(performance.now() - sent);
        }
      } finally {
        socket.destroy();
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { requestsPerSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function reached(time: number): Promise<void> {
  const wait = time - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
}

function exchange(socket: Socket, { url, body, token }: Load, index: number): Promise<void> {
  const content = body(index);
  const authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
  const head = `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\n${authorization}content-length: ${Buffer.byteLength(content)}\r\n\r\n`;
  return new Promise((resolve, reject) => {
    let received = '';
    const done = (error?: Error): void => {
      socket.off('data', read).off('error', done).off('close', closed);
      if (error === undefined) resolve();
      else reject(error);
    };
    const closed = (): void => done(new Error('the connection was closed'));
    const read = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      if (!isWhole(received)) return;
      if (received.startsWith('HTTP/1.1 200')) done();
      else done(new Error(received));
    };
    socket.on('data', read).on('error', done).on('close', closed);
    socket.write(head + content);
  });
}

function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, end + 2));
  if (length !== null) return received.length >= end + 4 + Number(length[1]);
  return received.endsWith('\r\n0\r\n\r\n');
}
