import { Migration } from '@mikro-orm/migrations';

/** Sessions, attempts, limits, revocations, key rotation, beaks and users of other identity providers. */
export class Migration20261121SignIn extends Migration {
  override up(): void {
    this.users();
    this.sessions();
    this.attempts();
    this.revocations();
    this.addSql('alter table signing_keys add column signs_from timestamptz not null default now()');
    // Until when tokens that it signed are accepted; null: until it is rotated out.
    this.addSql('alter table signing_keys add column retires_at timestamptz');
  }

  private users(): void {
    // Null for users whose identity provider is another one: no password opens their account.
    this.addSql('alter table users alter column password_hash drop not null');
    this.addSql('alter table users add column beak_print bytea');
    this.addSql('create index users_by_role on users using gin (roles)');
    this.addSql(`
      create table outside_identities (
        issuer text not null,
        subject text not null,
        user_id uuid not null unique references users (id),
        primary key (issuer, subject)
      )`);
  }

  private sessions(): void {
    this.addSql(`
      create table sessions (
        id uuid primary key,
        user_id uuid not null references users (id),
        assurance text not null check (assurance in ('full', 'low')),
        opened_at timestamptz not null,
        -- When it last got an access token: for a while after that it has to be revoked, not only ended.
        renewed_at timestamptz not null,
        ended_at timestamptz,
        end_reason text check (end_reason in ('LOGOUT', 'REUSE', 'PASSWORD_CHANGED', 'USER_INACTIVE')),
        check ((ended_at is null) = (end_reason is null))
      )`);
    this.addSql('create index sessions_open on sessions (user_id) where ended_at is null');
    this.addSql('create index sessions_by_renewal on sessions (renewed_at)');
    this.addSql(`
      insert into sessions (id, user_id, assurance, opened_at, renewed_at, ended_at, end_reason)
      select session_id, (array_agg(user_id))[1], 'full', min(issued_at), max(issued_at), max(revoked_at), case when max(revoked_at) is not null then 'LOGOUT' end
      from refresh_tokens group by session_id`);
    this.addSql('alter table refresh_tokens add foreign key (session_id) references sessions (id) on delete cascade');
    this.addSql('alter table refresh_tokens drop column revoked_at, drop column user_id');
    // Who used it, and what makes its successor from it: the same client gets the same one again while an answer may be lost.
    this.addSql('alter table refresh_tokens add column used_by bytea, add column successor_salt bytea');
  }

  private attempts(): void {
    this.addSql(`
      create table sign_in_attempts (
        id uuid primary key,
        user_id uuid references users (id),
        method text not null check (method in ('PASSWORD', 'BEAK')),
        -- Null when it was let in.
        denied_because text check (denied_because in ('UNKNOWN_USER', 'WRONG_CREDENTIAL', 'NOT_ACTIVE')),
        attempted_at timestamptz not null,
        client_address text
      )`);
    this.addSql('create index sign_in_attempts_by_user on sign_in_attempts (user_id, id desc)');
    // As rate-limiter-flexible wants it. Lost after a crash of the server, which is no harm worth a write to disk for each attempt.
    this.addSql('create unlogged table sign_in_failures (key varchar(255) primary key, points integer not null default 0, expire bigint)');
  }

  private revocations(): void {
    this.addSql(`
      create table revocations (
        -- In the order of commits: written under a lock.
        seq bigint generated always as identity primary key,
        user_id uuid,
        below_version integer,
        session_id uuid,
        at timestamptz not null default now(),
        check ((user_id is null) = (below_version is null) and (user_id is null) <> (session_id is null))
      )`);
  }
}
