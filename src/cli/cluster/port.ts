import { connect, createServer } from 'node:net';
import { CliError } from '../failure.ts';

/** Imposed by TCP. */
const PORT_MAX = 65_535;

/**
 * Miniflare reports a busy port late, or not at all where another process listens on the wildcard address:
 * listening shows the one, connecting the other.
 * `instead` is the port that the message proposes for the cluster.
 */
export async function refuseBusyPort(port: number, instead = port + 1): Promise<void> {
  if (port > PORT_MAX) {
    throw new CliError(`there is no port ${port}`, 'choose a lower one with --port, or fewer --agents');
  }
  if ((await canListen(port)) && !(await answers(port))) return;
  throw new CliError(
    `port ${port} is in use`,
    `stop what listens there, or choose another port: atoll dev --port ${instead > PORT_MAX ? 0 : instead} (0 takes a free one)`,
  );
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else if (error.code === 'EACCES') {
        reject(new CliError(`port ${port} needs more rights`, 'choose one above 1023 with --port'));
      } else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
