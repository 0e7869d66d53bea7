// @ts-nocheck: bundled for workerd, whose types the tests of the command line do not have.
import { DurableObject } from 'cloudflare:workers';

/** Keeps the number of partitions it was told, and a count; `/hang` never ends. */
export class Counter extends DurableObject {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    const stored = this.ctx.storage;
    if (pathname === '/hang') for (;;);
    if (pathname === '/count') {
      const count = ((await stored.get('count')) ?? 0) + 1;
      await stored.put('count', count);
      return Response.json({ count, token: this.env.ATOLL_TOKEN, greeting: this.env.GREETING });
    }
    if (request.method === 'POST') {
      const { partitions } = await request.json();
      const present = await stored.get('partitions');
      if (present !== undefined && present !== partitions) {
        const error = {
          code: 'conflict',
          message: `there are ${present} partitions`,
          retryable: false,
          outcome: 'none',
        };
        return Response.json({ error }, { status: 409 });
      }
      await stored.put('partitions', partitions);
    }
    const partitions = (await stored.get('partitions')) ?? 0;
    const list = Array.from({ length: partitions }, (_, partition) => ({ partition, epoch: 1, ranges: [] }));
    return Response.json({ database: 'main', version: 1, schemaVersion: 0, partitions: list });
  }
}

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === '/healthz') return new Response('ok');
    return env.PARTITION.getByName('one').fetch(request);
  },
};
