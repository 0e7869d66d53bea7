import { afterEach, expect, test, vi } from 'vitest';
import { System } from '../../src/core/replica/system.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { IndexBuilder } from '../../src/partition/index-builder.ts';
import { AtollError } from '../../src/protocol/error.ts';

afterEach(() => vi.restoreAllMocks());

test('storage that fails between two tries of a build ends the try, and is reported: the next alarm tries again', async () => {
  const port = new NodeSqlitePort(':memory:', { synchronous: 'OFF', restricted: false });
  const system = System.found(port, { database: 'main', history: 'h', partitions: 1, settings: {} }, 1);
  const build = { index: 1_000, proposal: null, history: 'h', progress: [] };
  port.query("INSERT INTO _atoll_settings (name, value) VALUES ('build:1000', ?)", JSON.stringify(build));
  vi.spyOn(console, 'warn').mockReturnValue();
  const said = vi.spyOn(console, 'error').mockReturnValue();
  const alarms: number[] = [];
  const builder = new IndexBuilder({
    system,
    peers: { call: () => Promise.reject(new Error('nobody is asked')) },
    pause: async () => port.close(),
    wantAlarm: (at) => alarms.push(at),
    inTurn: () => Promise.reject(new AtollError('busy', 'a schema change is being decided')),
    deliver: async () => undefined,
  });
  builder.start();
  await vi.waitFor(() => expect(said).toHaveBeenCalledOnce());
  expect(alarms).toHaveLength(2);
});
