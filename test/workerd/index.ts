import { DurableObject } from 'cloudflare:workers';

/** An object that has storage and does nothing: tests reach into it with `runInDurableObject`. */
export class StorageObject extends DurableObject {}

export default {
  fetch(): Response {
    return new Response('for tests only');
  },
};
