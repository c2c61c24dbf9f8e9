import { Migration } from '@mikro-orm/migrations';
import { IDEMPOTENCY_TABLE } from '@ates/service-kit/idempotency';
import { OUTBOX_TABLE } from '@ates/shared-events/migrations/2026-11-20-pipe';

export class Migration20261120Users extends Migration {
  override up(): void {
    for (const statement of OUTBOX_TABLE) this.addSql(statement);
    this.addSql(IDEMPOTENCY_TABLE);
    this.addSql(`
      create table users (
        id uuid primary key,
        version integer not null,
        name text not null,
        email text not null,
        -- What makes an e-mail unique: without case.
        email_key text not null unique,
        password_hash text not null,
        roles text[] not null check (cardinality(roles) >= 1),
        status text not null check (status in ('ACTIVE', 'DEACTIVATED', 'DELETED')),
        created_at timestamptz not null
      )`);
    this.addSql(`
      create table refresh_tokens (
        -- SHA-256 of the token; the token itself is never stored.
        token_hash bytea primary key,
        session_id uuid not null,
        user_id uuid not null references users (id),
        issued_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        revoked_at timestamptz
      )`);
    this.addSql('create index refresh_tokens_session on refresh_tokens (session_id)');
    this.addSql(`
      create table signing_keys (
        kid text primary key,
        private_jwk jsonb not null,
        public_jwk jsonb not null,
        created_at timestamptz not null default now()
      )`);
  }
}
