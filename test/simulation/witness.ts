import type { Coverage } from './coverage.ts';
import type { PartitionHost } from './partition-host.ts';

const REQUEST_ID = /"idempotency":\{"id":"([^"]+)"/;

/** Looks at messages and counts what they show to have happened; changes nothing. */
export class Witness {
  readonly #coverage: Coverage;
  readonly #requests = new Set<string>();

  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  /** A message has arrived. */
  sees({ port }: PartitionHost, type: string, body: string | Uint8Array): void {
    if (type === 'schema-check' && port.query('SELECT 1 FROM _atoll_prepared LIMIT 1').rows.length > 0)
      this.#coverage.barriers++;
    if (typeof body !== 'string') return;
    const id = REQUEST_ID.exec(body)?.[1];
    if (id === undefined) return;
    if (this.#requests.has(id)) this.#coverage.duplicates++;
    this.#requests.add(id);
  }

  /** An answer leaves. The body can be read once: what is returned is to be sent. */
  async hears(type: string, response: Response): Promise<Response> {
    if (!response.ok || (type !== 'certify' && type !== 'transaction-state')) return response;
    const text = await response.text();
    if (type === 'certify') this.#coverage[text.includes('"certified":true') ? 'certified' : 'uncertified']++;
    else if (text.includes('"committed"')) this.#coverage.commitsByRecovery++;
    else if (text.includes('"aborted"')) this.#coverage.abortsByRecovery++;
    const { status, headers } = response;
    return new Response(text, { status, headers });
  }
}
