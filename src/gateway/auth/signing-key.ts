import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { assert } from '../../base/assert.ts';

/** EdDSA over Ed25519: RFC 8037. */
export const TOKEN_ALGORITHM = 'EdDSA';

/** A cluster's key pair as JWK texts (RFC 8037 section 2), to be stored. Who has the private one can make tokens. */
export interface SigningKeyTexts {
  readonly privateJwk: string;
  readonly publicJwk: string;
}

/** A new key pair; once in a cluster's life. */
export async function generateSigningKey(): Promise<SigningKeyTexts> {
  const options = { crv: 'Ed25519', extractable: true } as const;
  const { privateKey, publicKey } = await generateKeyPair(TOKEN_ALGORITHM, options);
  const [privateJwk, publicJwk] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey)]);
  return { privateJwk: JSON.stringify(privateJwk), publicJwk: JSON.stringify(publicJwk) };
}

/** For {@link signToken}. */
export async function importSigningKey(privateJwk: string): Promise<CryptoKey> {
  const jwk = readJwk(privateJwk);
  assert(typeof jwk.d === 'string', 'a signing key has a private part');
  return importEd25519(jwk);
}

/** For the TokenVerifier. Takes a private key's text as well, of which it uses the public part. */
export async function importVerifyingKey(jwkText: string): Promise<CryptoKey> {
  const { kty, crv, x } = readJwk(jwkText);
  assert(crv !== undefined && x !== undefined, 'an Ed25519 key has crv and x');
  return importEd25519({ kty, crv, x });
}

function readJwk(text: string): JWK & { kty: string } {
  const jwk = JSON.parse(text) as JWK & { kty: string };
  assert(jwk.kty === 'OKP' && jwk.crv === 'Ed25519', 'the stored key is an Ed25519 key');
  return jwk;
}

async function importEd25519(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, TOKEN_ALGORITHM);
  assert(!(key instanceof Uint8Array), 'an Ed25519 key is no bare secret');
  return key;
}
