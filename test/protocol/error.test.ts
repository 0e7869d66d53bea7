import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  AtollError,
  type ErrorCode,
  encodeError,
  errorKinds,
  isErrorCode,
  toAtollError,
} from '../../src/protocol/error.ts';

describe('public errors', () => {
  it('are encoded with their kind', () => {
    const reply = encodeError(new AtollError('conflict', 'run it again'));
    expect(reply).toMatchObject({ status: 409, retryAfterSeconds: null });
    expect(JSON.parse(reply.body)).toEqual({
      error: { code: 'conflict', message: 'run it again', retryable: true, outcome: 'none' },
    });
  });

  it('carry the outcome and the detail where they were raised', () => {
    const reply = encodeError(new AtollError('busy', 'half done', 'partial', { partitions: [1] }));
    expect(reply.retryAfterSeconds).toBeGreaterThan(0);
    expect(JSON.parse(reply.body).error).toMatchObject({ outcome: 'partial', detail: { partitions: [1] } });
  });

  it('hide the text of a defect', () => {
    const reply = encodeError(toAtollError(new TypeError('secret')));
    expect(reply.status).toBe(500);
    expect(reply.body).not.toContain('secret');
    expect(JSON.parse(reply.body).error.outcome).toBe('unknown');
    const known = new AtollError('syntax', 'x');
    expect(toAtollError(known)).toBe(known);
  });

  it('promise no outcome that the deadline or a lost reply leaves open', () => {
    for (const code of ['timeout', 'unknown-outcome', 'internal'] as const) {
      expect(errorKinds[code].outcome).toBe('unknown');
    }
  });

  it('are all documented, as they are', () => {
    const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8').replace(/ +/g, ' ');
    for (const [code, kind] of Object.entries(errorKinds)) {
      const row = `| \`${code}\` | ${kind.status} | ${kind.retryable ? 'yes' : 'no'} | ${kind.outcome} | ${kind.meaning} |`;
      expect(page).toContain(row);
    }
  });

  it('are a closed list', () => {
    expect(isErrorCode('busy' satisfies ErrorCode)).toBe(true);
    expect(isErrorCode('toString')).toBe(false);
  });
});
