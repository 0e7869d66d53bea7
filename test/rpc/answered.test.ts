import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnsweredCalls } from '../../src/rpc/answered.ts';

test('what is remembered stays within both bounds, the newest answers are kept, and none in progress is lost', () => {
  const step = fc.record({ bytes: fc.nat(60), answers: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const calls = new AnsweredCalls(5, 100);
      const begun: number[] = [];
      const answered: { readonly id: number; readonly bytes: number }[] = [];
      for (const [id, { bytes, answers }] of steps.entries()) {
        calls.begin(id, 'x');
        begun.push(id);
        if (!answers) continue;
        const next = begun.splice(bytes % begun.length, 1)[0] as number;
        calls.answer(next, [new Uint8Array(bytes), new Uint8Array(bytes)]);
        answered.push({ id: next, bytes: 2 * bytes });
      }
      expect(calls.inProgress).toBe(begun.length);
      for (const id of begun) expect(calls.of(id)?.kind).toBe('in-progress');

      let left = 100;
      let isKept = true;
      for (const [age, { id, bytes }] of answered.reverse().entries()) {
        const known = calls.of(id);
        if (bytes <= 100) left -= bytes;
        isKept &&= age < 5 && left >= 0;
        if (isKept) expect(known?.kind).toBe(bytes > 100 ? 'forgotten' : 'answered');
      }
      const remembered = answered.map(({ id }) => calls.of(id)).filter((known) => known !== null);
      const bytes = remembered.flatMap((known) => (known.kind === 'answered' ? known.reply : []));
      expect(remembered.length).toBeLessThanOrEqual(5);
      expect(bytes.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(100);
    }),
  );
});
