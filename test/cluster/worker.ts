import type { PartitionId } from '../../src/base/brand.ts';
import { PartitionObject as Partition } from '../../src/objects/partition-object.ts';
import { RPC_HEADER, RPC_VERSION } from '../../src/protocol/rpc.ts';
import type { ObjectEnvironment } from '../../src/workers/environment.ts';
import atoll from '../../src/workers/index.ts';
import { partitionObjectName } from '../../src/workers/transport.ts';

/** Atoll's own Worker and objects, and a way past the router: `POST /rpc/{partition}/{message}` reaches an object. */
export default {
  fetch(request, environment, context) {
    const { pathname } = new URL(request.url);
    const direct = /^\/rpc\/(\d+)\/(.+)$/.exec(pathname);
    if (direct === null) return atoll.fetch(request, environment, context);
    const name = partitionObjectName('main', Number(direct[1]) as PartitionId);
    const stub = environment.PARTITION.get(environment.PARTITION.idFromName(name));
    const message = new Request(`http://partition/${direct[2]}`, request);
    message.headers.set(RPC_HEADER, message.headers.get(RPC_HEADER) ?? String(RPC_VERSION));
    return stub.fetch(message);
  },
} satisfies ExportedHandler<ObjectEnvironment>;

/**
 * What is to happen to the next message of an object: it is lost, its answer is, or it waits for a reset. `deaf`: every one
 * is lost, until another fault is asked for.
 */
type Fault = 'reset-before' | 'reset-after' | 'hang' | 'deaf' | 'none';

/** Beyond any test's patience. */
const HANG_MS = 120_000;

/** By object, with the messages that meet it. Not in the object: one that is idle for some seconds is taken out of memory. */
const faults = new Map<string, { readonly fault: Fault; readonly on: readonly string[] }>();

/** The partition's object with faults that a test asks for: `POST /rpc/{partition}/fault {"fault": …, "on": …}`. */
export class PartitionObject extends Partition {
  override async fetch(request: Request): Promise<Response> {
    const message = request.url.slice(request.url.lastIndexOf('/') + 1);
    if (message === 'fault') {
      const { fault, on } = await request.json<{ fault: Fault; on?: string }>();
      if (fault === 'none') faults.delete(this.#name);
      else
        faults.set(this.#name, {
          fault,
          on: on === undefined ? ['execute', 'execute-many', 'import-chunk'] : [on],
        });
      return Response.json({});
    }
    if (message === 'reset') this.ctx.abort('asked for by a test');
    const { fault, on } = faults.get(this.#name) ?? { fault: null, on: [] };
    if (fault === null || !on.includes(message)) return super.fetch(request);
    if (fault === 'deaf') throw new Error('deaf');
    faults.delete(this.#name);
    if (fault === 'hang') await scheduler.wait(HANG_MS);
    if (fault === 'reset-after') {
      await super.fetch(request);
      await this.ctx.storage.sync();
    }
    this.ctx.abort('asked for by a test');
    throw new Error('the object was reset');
  }

  get #name(): string {
    return this.ctx.id.toString();
  }
}
