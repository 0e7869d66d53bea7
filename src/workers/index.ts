import { createGateway } from '../gateway/app.ts';
import { CoalescingTransport } from '../gateway/coalescing-transport.ts';
import { SessionSeal } from '../protocol/session-seal.ts';
import type { ObjectEnvironment } from './environment.ts';
import { openLink } from './link-route.ts';
import { DurableObjectTransport } from './transport.ts';

// The runtime finds object classes among the entry's exports.
export { PartitionObject } from '../objects/partition-object.ts';

let gateway: ReturnType<typeof createGateway> | null = null;

export default {
  fetch(request, environment, context) {
    const link = openLink(request, environment.PARTITION);
    if (link !== null) return link;
    // Bindings are the same for every request of an isolate, and so is what the router has learnt.
    gateway ??= createGateway({
      transport: new CoalescingTransport(new DurableObjectTransport(environment.PARTITION)),
      staticToken: environment.ATOLL_TOKEN ?? null,
      seal: new SessionSeal(environment.ATOLL_SECRET || environment.ATOLL_TOKEN),
      fetch: (url, init) => fetch(url, init),
      corsOrigins: (environment.ATOLL_CORS_ORIGINS ?? '').split(',').filter((origin) => origin !== ''),
    });
    return gateway.fetch(request, environment, context);
  },
} satisfies ExportedHandler<ObjectEnvironment>;
