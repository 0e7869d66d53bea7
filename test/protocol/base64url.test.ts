import { blake3 } from '@noble/hashes/blake3.js';
import { expect, test } from 'vitest';
import { bytesToBase64Url, textToBase64Url } from '../../src/protocol/base64url.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import { Random } from '../harness/random.ts';

test('bytes and text of every length, as Node encodes them', () => {
  const random = new Random(1);
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, () => random.below(256));
    expect(bytesToBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
    const text = String.fromCharCode(...bytes.map((byte) => byte & 0x7f));
    expect(textToBase64Url(text)).toBe(Buffer.from(text).toString('base64url'));
  }
});

test.each(['', 'token', 'x'.repeat(511), 'y'.repeat(512), 'z'.repeat(5_000), 'ä', `${'a'.repeat(40)}☃`])(
  'a seal is the keyed hash of its text, whatever that is',
  (text) => {
    const encode = (each: string) => new TextEncoder().encode(each);
    const key = blake3(encode('secret'), { context: encode('atoll 2026-11-27 session token seal') });
    const hash = (of: string) => Buffer.from(blake3(encode(of), { key, dkLen: 16 })).toString('base64url');
    const seal = new SessionSeal('secret');
    for (let i = 0; i < 2; i++) {
      expect(seal.sealFor('page', text)).toBe(`${text}.${hash(`page:${text}`)}`);
      expect(seal.isSealedFor('page', `${text}.${hash(`page:${text}`)}`)).toBe(text.length > 0);
    }
  },
);
