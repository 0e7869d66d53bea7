import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeAnswers, decodeMany, encodeAnswers, encodeMany } from '../../src/protocol/many.ts';

/** JSON text, as requests and answers are: whatever is in its strings, it is one line. */
const json = fc.jsonValue().map((value) => JSON.stringify(value));

describe('messages that carry several', () => {
  test('requests', () => {
    fc.assert(
      fc.property(fc.array(json, { minLength: 1 }), (requests) => {
        expect(decodeMany(encodeMany(requests))).toEqual(requests.map((text) => JSON.parse(text)));
      }),
    );
  });

  test('answers, and those that there are none of', () => {
    const answer = fc.option(fc.record({ status: fc.integer({ min: 100, max: 599 }), body: json }));
    fc.assert(
      fc.property(fc.array(answer, { minLength: 1 }), (answers) => {
        expect(decodeAnswers(encodeAnswers(answers), answers.length)).toEqual(answers);
      }),
    );
  });

  test('answers to other requests than were sent are none', () => {
    const one = { status: 200, body: '{}' };
    const error = expect.objectContaining({ code: 'unavailable', outcome: 'unknown' });
    expect(() => decodeAnswers(encodeAnswers([one, null]), 1)).toThrow(error);
    expect(() => decodeAnswers(encodeAnswers([one]), 2)).toThrow(error);
    expect(() => decodeAnswers(`${encodeAnswers([one])}\n{}`, 1)).toThrow(error);
    expect(() => decodeAnswers('[200]', 1)).toThrow(error);
  });
});
