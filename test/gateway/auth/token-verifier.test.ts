import { SignJWT, UnsecuredJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { authorize, authorizeCluster, type Principal } from '../../../src/gateway/auth/principal.ts';
import type { Role } from '../../../src/gateway/auth/role.ts';
import {
  generateSigningKey,
  importSigningKey,
  importVerifyingKey,
  type SigningKeyTexts,
} from '../../../src/gateway/auth/signing-key.ts';
import { signToken, type TokenGrant } from '../../../src/gateway/auth/token.ts';
import { TokenVerifier } from '../../../src/gateway/auth/token-verifier.ts';
import { AtollError } from '../../../src/protocol/error.ts';

const NOW = 1_800_000_000_000;
const WRITE_MAIN: TokenGrant = { role: 'write', databases: ['main'], expiresAtMs: NOW + 60_000, id: 't1' };

let texts: SigningKeyTexts;
let signingKey: Awaited<ReturnType<typeof importSigningKey>>;
let verifyingKey: typeof signingKey;

beforeAll(async () => {
  texts = await generateSigningKey();
  signingKey = await importSigningKey(texts.privateJwk);
  verifyingKey = await importVerifyingKey(texts.publicJwk);
});

const verifier = (cacheSize = 1000) =>
  new TokenVerifier({ verifyingKey, staticToken: 'let-me-in', cacheSize });
const sign = async (grant: TokenGrant) => `Bearer ${(await signToken(signingKey, grant, NOW)).token}`;

async function refusal(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AtollError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('tokens', () => {
  it('say who is asking', async () => {
    expect(await verifier().verify(await sign(WRITE_MAIN), NOW)).toEqual({
      id: 't1',
      role: 'write',
      databases: ['main'],
    });
    const forEver = await sign({ role: 'read', databases: null, expiresAtMs: null });
    expect(await verifier().verify(forEver, NOW * 2)).toMatchObject({ role: 'read', databases: null });
  });

  it('get ids of their own, and the ids are told', async () => {
    const grant: TokenGrant = { role: 'read', databases: null, expiresAtMs: null };
    const [a, b] = await Promise.all([signToken(signingKey, grant, NOW), signToken(signingKey, grant, NOW)]);
    expect(a.id).not.toBe(b.id);
    expect((await verifier().verify(`Bearer ${a.token}`, NOW)).id).toBe(a.id);
  });

  it('are refused when missing or misplaced', async () => {
    for (const header of [null, undefined, '']) {
      expect(await refusal(() => verifier().verify(header, NOW))).toMatch(/unauthorized: send the header/);
    }
    for (const header of ['Basic YTpi', 'Bearer', 'let-me-in', 'Bearer a b']) {
      expect(await refusal(() => verifier().verify(header, NOW))).toMatch(/must be: Bearer/);
    }
  });

  it('expire, also when they were good before', async () => {
    const one = verifier();
    const header = await sign(WRITE_MAIN);
    await one.verify(header, NOW + 59_999);
    expect(await refusal(() => one.verify(header, NOW + 60_000))).toMatch(
      /unauthorized: the token expired at 2027-/,
    );
  });

  it('may begin later', async () => {
    const header = await sign({ ...WRITE_MAIN, notBeforeMs: NOW + 30_000 });
    expect(await refusal(() => verifier().verify(header, NOW))).toMatch(/not valid before 2027-/);
    await verifier().verify(header, NOW + 26_000);
  });

  it('can be revoked, also when they were good before', async () => {
    const one = verifier();
    const header = await sign(WRITE_MAIN);
    await one.verify(header, NOW);
    one.setRevoked(new Set(['t1']));
    expect(await refusal(() => one.verify(header, NOW))).toMatch(/revoked/);
    one.setRevoked(new Set());
    await one.verify(header, NOW);
  });

  it('of another cluster, changed, or unsigned are refused', async () => {
    const other = await importSigningKey((await generateSigningKey()).privateJwk);
    const { token } = await signToken(other, WRITE_MAIN, NOW);
    expect(await refusal(() => verifier().verify(`Bearer ${token}`, NOW))).toMatch(
      /not signed by this cluster/,
    );
    const [head, , signature] = (await sign(WRITE_MAIN)).split('.');
    const payload = btoa(JSON.stringify({ iss: 'atoll', jti: 't1', role: 'admin' })).replaceAll('=', '');
    expect(await refusal(() => verifier().verify(`${head}.${payload}.${signature}`, NOW))).toMatch(
      /not signed/,
    );
    const unsigned = new UnsecuredJWT({ role: 'admin' }).setIssuer('atoll').setJti('x').encode();
    expect(await refusal(() => verifier().verify(`Bearer ${unsigned}`, NOW))).toMatch(/^unauthorized/);
    const secret = new TextEncoder().encode(texts.publicJwk);
    const hmac = await new SignJWT({ role: 'admin' })
      .setProtectedHeader({ alg: 'HS256' })
      .setJti('x')
      .sign(secret);
    expect(await refusal(() => verifier().verify(`Bearer ${hmac}`, NOW))).toMatch(/EdDSA only/);
    expect(await refusal(() => verifier().verify('Bearer nonsense', NOW))).toMatch(/no JWT/);
  });

  it('with strange claims are refused though the signature holds', async () => {
    const token = await new SignJWT({ role: 'root' })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer('atoll')
      .setJti('x')
      .sign(signingKey);
    expect(await refusal(() => verifier().verify(`Bearer ${token}`, NOW))).toMatch(/lacks/);
  });

  it('are checked once, and the least recently used is forgotten', async () => {
    const one = verifier(2);
    const headers = await Promise.all(['a', 'b', 'c'].map((id) => sign({ ...WRITE_MAIN, id })));
    const [a, b, c] = headers as [string, string, string];
    const first = await one.verify(a, NOW);
    await one.verify(b, NOW);
    expect(await one.verify(a, NOW)).toBe(first);
    const second = await one.verify(b, NOW);
    await one.verify(a, NOW);
    await one.verify(c, NOW);
    expect(await one.verify(a, NOW)).toBe(first);
    expect(await one.verify(b, NOW)).not.toBe(second);
  });
});

describe('the static token', () => {
  it('is an admin of everything, and nothing near it is', async () => {
    expect(await verifier().verify('bearer let-me-in', NOW)).toEqual({
      id: 'static',
      role: 'admin',
      databases: null,
    });
    for (const wrong of ['let-me-i', 'let-me-in!', 'let-me-iN', 'l']) {
      expect(await refusal(() => verifier().verify(`Bearer ${wrong}`, NOW))).toMatch(/^unauthorized/);
    }
    const keyless = new TokenVerifier({ verifyingKey: null, staticToken: 'let-me-in' });
    expect(await refusal(() => keyless.verify('Bearer x', NOW))).toMatch(/ATOLL_TOKEN/);
  });

  it('must not be empty', () => {
    expect(() => new TokenVerifier({ verifyingKey, staticToken: '' })).toThrow(/empty/);
  });
});

describe('keys', () => {
  it('are texts, and the private one tells the public one', async () => {
    expect(JSON.parse(texts.publicJwk)).not.toHaveProperty('d');
    const one = new TokenVerifier({
      verifyingKey: await importVerifyingKey(texts.privateJwk),
      staticToken: null,
    });
    expect(await one.verify(await sign(WRITE_MAIN), NOW)).toMatchObject({ id: 't1' });
    await expect(importSigningKey(texts.publicJwk)).rejects.toThrow(/private/);
  });
});

describe('authorize', () => {
  const holder = (role: Role, databases: string[] | null = null): Principal => ({ id: 'x', role, databases });

  it('lets each role do what the roles before it may', async () => {
    const order: Role[] = ['read', 'write', 'admin'];
    for (const [i, held] of order.entries()) {
      for (const [j, needed] of order.entries()) {
        const run = () => authorize(holder(held), 'main', needed);
        if (i >= j) run();
        else
          expect(await refusal(run)).toBe(
            `forbidden: this takes the role '${needed}'; the token has '${held}'`,
          );
      }
    }
  });

  it('keeps a token to its databases', async () => {
    authorize(holder('read', ['main', 'shop']), 'shop', 'read');
    const run = () => authorize(holder('admin', ['shop']), 'main', 'read');
    expect(await refusal(run)).toBe("forbidden: this token is not for the database 'main'");
  });

  it('leaves the cluster to admins of all databases', async () => {
    authorizeCluster(holder('admin'));
    for (const one of [holder('write'), holder('admin', ['main'])]) {
      expect(await refusal(() => authorizeCluster(one))).toMatch(/^forbidden/);
    }
  });
});
