import type { PartitionId } from '../../src/base/brand.ts';
import { PartitionObject as Partition } from '../../src/objects/partition-object.ts';
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
    return stub.fetch(`http://partition/${direct[2]}`, request);
  },
} satisfies ExportedHandler<ObjectEnvironment>;

/** What is to happen to the next `execute` of an object. */
type Fault = 'reset-before' | 'reset-after' | 'hang';

/** The partition's object with faults that a test asks for: `POST /rpc/{partition}/fault {"fault": …}`. */
export class PartitionObject extends Partition {
  #fault: Fault | null = null;

  override async fetch(request: Request): Promise<Response> {
    if (request.url.endsWith('/fault')) {
      ({ fault: this.#fault } = await request.json<{ fault: Fault }>());
      return Response.json({});
    }
    if (request.url.endsWith('/reset')) this.ctx.abort('asked for by a test');
    const fault = this.#fault;
    if (fault === null || !/\/(execute|import-chunk)$/.test(request.url)) return super.fetch(request);
    this.#fault = null;
    if (fault === 'hang') return new Promise(() => undefined);
    if (fault === 'reset-after') {
      await super.fetch(request);
      await this.ctx.storage.sync();
    }
    this.ctx.abort('asked for by a test');
    throw new Error('the object was reset');
  }
}
