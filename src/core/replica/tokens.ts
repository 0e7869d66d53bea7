import type { TokenRecord } from '../../protocol/token.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** Rows of `_atoll_tokens`, in the transaction that is open. */

export function insertToken(port: SqlitePort, token: TokenRecord, now: number): void {
  port.query(
    'INSERT INTO _atoll_tokens VALUES (?, ?, ?, ?, ?, NULL)',
    token.id,
    token.role,
    token.databases === null ? null : JSON.stringify(token.databases),
    new Date(now).toISOString(),
    token.expiresAt,
  );
}

export function readTokens(port: SqlitePort): TokenRecord[] {
  const { rows } = port.query(
    'SELECT id, role, databases, created_at, expires_at, revoked_at FROM _atoll_tokens ORDER BY created_at, id',
  );
  return rows.map(([id, role, databases, createdAt, expiresAt, revokedAt]) => ({
    id: String(id),
    role: String(role),
    databases: databases === null ? null : JSON.parse(String(databases)),
    createdAt: String(createdAt),
    expiresAt: expiresAt === null ? null : String(expiresAt),
    revokedAt: revokedAt === null ? null : String(revokedAt),
  }));
}

export function endToken(port: SqlitePort, id: string, now: number): void {
  port.query(
    'UPDATE _atoll_tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?',
    new Date(now).toISOString(),
    id,
  );
}
