import * as v from 'valibot';
import { AtollError } from '../protocol/error.ts';

/**
 * The head of a message as its schema describes it; fields of later versions are left out. Error: `bad-request`, which names
 * the message and the field. Nothing of a message may be used before.
 */
export function readHead<Schema extends v.GenericSchema>(
  schema: Schema,
  type: string,
  head: unknown,
): v.InferOutput<Schema> {
  const read = v.safeParse(schema, head);
  if (read.success) return read.output;
  const [issue] = read.issues;
  const field = v.getDotPath(issue);
  throw new AtollError('bad-request', `'${type}'${field === null ? '' : `, ${field}`}: ${issue.message}`);
}
