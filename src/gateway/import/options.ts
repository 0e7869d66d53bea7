import * as v from 'valibot';
import { AtollError } from '../../protocol/error.ts';
import { parse } from '../request.ts';

export type ImportFormat = 'ndjson' | 'csv';

export interface ImportOptions {
  readonly format: ImportFormat;
  /** Of the values of each row; null: NDJSON rows name them, a CSV has a header line. */
  readonly columns: readonly string[] | null;
  readonly importId: string | null;
  /** Number of the first row's line in the source. */
  readonly firstLine: number;
  /** An unquoted CSV field of this text is NULL; null: an empty one is, but in TEXT columns. */
  readonly nullText: string | null;
}

/** Chosen: an id is stored in every partition. */
const IMPORT_ID_LENGTH_MAX = 200;

const Parameters = v.strictObject(
  {
    format: v.optional(v.picklist(['ndjson', 'csv'])),
    columns: v.optional(v.string()),
    importId: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(IMPORT_ID_LENGTH_MAX))),
    line: v.optional(v.pipe(v.string(), v.regex(/^[1-9]\d{0,14}$/, 'be a line number, from 1'))),
    null: v.optional(v.string()),
    restore: v.optional(v.string()),
  },
  'no such parameter',
);

const CONTENT_TYPES: ReadonlyMap<string, ImportFormat> = new Map([
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['text/csv', 'csv'],
]);

/** Reads `?format=`, `columns`, `importId`, `line`, `null` and the content type. */
export function readImportOptions(request: Request): ImportOptions {
  const given = parse(Parameters, Object.fromEntries(new URL(request.url).searchParams));
  if (given.restore !== undefined) {
    throw new AtollError('unsupported', 'an import does not restore: send the dump to /v1/restore');
  }
  const format = given.format ?? formatOf(request.headers.get('content-type'));
  if (given.null !== undefined && format !== 'csv') {
    throw new AtollError('bad-request', 'null: is for CSV; NDJSON says null itself');
  }
  const columns = given.columns?.split(',').map((name) => name.trim()) ?? null;
  const headerLines = format === 'csv' && columns === null ? 1 : 0;
  return {
    format,
    columns,
    importId: given.importId ?? null,
    firstLine: given.line === undefined ? 1 + headerLines : Number(given.line),
    nullText: given.null ?? null,
  };
}

function formatOf(contentType: string | null): ImportFormat {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  const format = CONTENT_TYPES.get(type);
  if (format !== undefined) return format;
  throw new AtollError(
    'bad-request',
    `content-type ${type === '' ? 'is missing' : `${type} is not known`}: send application/x-ndjson or text/csv, or say ?format=ndjson or csv`,
  );
}
