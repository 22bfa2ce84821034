CREATE TABLE audit (
  id {rowid} NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  details TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX audit_of_subject ON audit (subject, id);

CREATE TABLE cached_answers (
  partition TEXT NOT NULL,
  "key" TEXT NOT NULL,
  status INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  headers TEXT NOT NULL,
  body {bytes},
  blob TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (partition, "key")
);
CREATE INDEX cached_answers_by_expiry ON cached_answers (expires_at);

CREATE TABLE idempotency (
  account TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  "key" TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  status INTEGER,
  media_type TEXT,
  headers TEXT,
  body {bytes},
  blob TEXT,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (account, endpoint, "key")
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE deliveries (
  request_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  identity TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('attended', 'left', 'taken')),
  worker TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  status INTEGER,
  media_type TEXT,
  headers TEXT,
  body {bytes},
  blob TEXT,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (request_id)
);
CREATE INDEX deliveries_by_expiry ON deliveries (expires_at);
CREATE INDEX deliveries_of_key ON deliveries (key_id, identity);

CREATE TABLE jobs (
  id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  key_id TEXT,
  kind TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed')),
  progress INTEGER NOT NULL,
  request TEXT NOT NULL,
  request_id TEXT NOT NULL,
  work TEXT,
  provider TEXT,
  upstream_id TEXT,
  media_id TEXT,
  result TEXT,
  error TEXT,
  cancelled INTEGER NOT NULL,
  worker TEXT,
  lease_until BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX jobs_by_status ON jobs (status, lease_until);
CREATE INDEX jobs_of_request ON jobs (request_id);
CREATE INDEX jobs_of_user ON jobs (user_id, created_at);

CREATE TABLE ledger_accounts (
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('wallet', 'budget')),
  balance BIGINT NOT NULL,
  held BIGINT NOT NULL,
  opened_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT never_below_zero CHECK (held >= 0 AND balance >= held)
);
CREATE INDEX ledger_accounts_of_owner ON ledger_accounts (owner);

CREATE TABLE ledger_workers (
  name TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE leases (
  account_id TEXT NOT NULL REFERENCES ledger_accounts (id),
  worker TEXT NOT NULL,
  amount BIGINT NOT NULL CHECK (amount >= 0),
  state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
  PRIMARY KEY (account_id, worker)
);
CREATE INDEX leases_of_worker ON leases (worker);

CREATE TABLE claims (
  id {rowid} NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  worker TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX claims_of_user ON claims (user_id);

CREATE TABLE limits (
  key_id TEXT NOT NULL,
  address TEXT NOT NULL,
  spent BIGINT NOT NULL CHECK (spent >= 0),
  at BIGINT NOT NULL,
  request_id TEXT,
  held BIGINT NOT NULL CHECK (held >= 0),
  busy_until BIGINT NOT NULL,
  PRIMARY KEY (key_id, address)
);

CREATE TABLE media (
  id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX media_by_expiry ON media (expires_at);

CREATE TABLE once (
  "key" TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY ("key")
);

CREATE TABLE revisions (
  name TEXT NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE secrets (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE transfers (
  id {rowid} NOT NULL,
  at BIGINT NOT NULL,
  debit TEXT NOT NULL,
  credit TEXT NOT NULL,
  amount BIGINT NOT NULL CHECK (amount > 0),
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  request_id TEXT,
  PRIMARY KEY (id),
  CONSTRAINT two_accounts CHECK (debit <> credit)
);
CREATE INDEX transfers_of_refunds ON transfers (request_id) WHERE reason = 'refund';

CREATE TABLE usage (
  id {rowid} NOT NULL,
  request_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  user_id TEXT NOT NULL,
  key_id TEXT,
  terms TEXT NOT NULL,
  meter_source TEXT,
  units TEXT NOT NULL,
  measured BIGINT NOT NULL CHECK (measured >= 0),
  charged BIGINT NOT NULL CHECK (charged >= 0),
  shortfall BIGINT NOT NULL CHECK (shortfall >= 0),
  response_ms INTEGER,
  estimated INTEGER NOT NULL,
  partial INTEGER NOT NULL,
  cached INTEGER NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT price_is_paid_or_booked CHECK (measured <= charged + shortfall AND 2 * (charged + shortfall - measured) <= measured + 1),
  UNIQUE (request_id)
);
CREATE INDEX usage_of_key ON usage (key_id, at, id);
CREATE INDEX usage_of_user ON usage (user_id, at, id);

CREATE TABLE usage_daily (
  user_id TEXT NOT NULL,
  date TEXT NOT NULL,
  model TEXT NOT NULL,
  meter_source TEXT NOT NULL,
  key_id TEXT NOT NULL,
  requests BIGINT NOT NULL,
  cost BIGINT NOT NULL,
  PRIMARY KEY (user_id, date, model, meter_source, key_id)
);

CREATE TABLE usage_apps (
  app_key_id TEXT NOT NULL,
  date TEXT NOT NULL,
  user_id TEXT NOT NULL,
  meter_source TEXT NOT NULL,
  requests BIGINT NOT NULL,
  cost BIGINT NOT NULL,
  PRIMARY KEY (app_key_id, date, user_id, meter_source)
);

CREATE TABLE usage_terms (
  id TEXT NOT NULL,
  key_name TEXT,
  key_type TEXT,
  app_key_id TEXT,
  type TEXT NOT NULL,
  model TEXT,
  served_model TEXT,
  provider TEXT,
  rates TEXT NOT NULL,
  facts TEXT NOT NULL,
  price_version TEXT NOT NULL,
  catalog_revision TEXT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE users (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT,
  github TEXT,
  image TEXT,
  tier TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
  created_at BIGINT NOT NULL,
  banned_at BIGINT,
  email_verified_at BIGINT,
  time_zone TEXT,
  likeness TEXT NOT NULL,
  browsers_since BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name),
  UNIQUE (likeness)
);

CREATE TABLE api_keys (
  id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  parent_id TEXT,
  app_key_id TEXT,
  type TEXT NOT NULL CHECK (type IN ('secret', 'publishable')),
  name TEXT NOT NULL,
  hash TEXT NOT NULL,
  start TEXT NOT NULL,
  public_value TEXT,
  models TEXT,
  scopes TEXT NOT NULL,
  budget_limit BIGINT CHECK (budget_limit >= 0),
  budget_period TEXT CHECK (budget_period IN ('day', 'week', 'month')),
  app_url TEXT,
  redirect_uris TEXT,
  origins TEXT,
  markup BIGINT NOT NULL CHECK (markup BETWEEN 0 AND 500),
  devices INTEGER NOT NULL,
  created_via TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_request_at BIGINT,
  enabled INTEGER NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(user_id) REFERENCES users (id),
  FOREIGN KEY(parent_id) REFERENCES api_keys (id),
  UNIQUE (hash)
);
CREATE INDEX api_keys_of_parent ON api_keys (parent_id);
CREATE INDEX api_keys_of_user ON api_keys (user_id);

CREATE TABLE holds (
  request_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  amount BIGINT NOT NULL CHECK (amount > 0),
  worker TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (request_id, account_id),
  FOREIGN KEY(account_id) REFERENCES ledger_accounts (id)
);

CREATE TABLE former_values (
  hash TEXT NOT NULL,
  key_id TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (hash)
);

CREATE INDEX former_values_of_key ON former_values (key_id);

CREATE TABLE login_links (
  hash TEXT NOT NULL,
  user_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  purpose TEXT NOT NULL CHECK (purpose IN ('sign-in', 'reset', 'verify')),
  email TEXT,
  PRIMARY KEY (hash),
  FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE passwords (
  user_id TEXT NOT NULL,
  hash TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE passkeys (
  id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  public_key {bytes} NOT NULL,
  sign_count BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT,
  PRIMARY KEY (id),
  FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX passkeys_of_user ON passkeys (user_id);

CREATE TABLE identities (
  provider TEXT NOT NULL,
  subject TEXT NOT NULL,
  user_id TEXT NOT NULL,
  label TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT,
  PRIMARY KEY (provider, subject),
  FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX identities_of_user ON identities (user_id);

CREATE TABLE flows (
  hash TEXT NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (hash)
);

CREATE TABLE invites (
  hash TEXT NOT NULL,
  note TEXT NOT NULL,
  actor TEXT NOT NULL,
  uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (hash)
);

CREATE TABLE oauth_codes (
  hash TEXT NOT NULL,
  user_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  redirect_uri TEXT NOT NULL,
  challenge TEXT NOT NULL,
  terms TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  key_id TEXT,
  PRIMARY KEY (hash),
  FOREIGN KEY (user_id) REFERENCES users (id)
);

CREATE TABLE device_codes (
  hash TEXT NOT NULL,
  user_code TEXT NOT NULL,
  client_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'used')),
  user_id TEXT,
  terms TEXT,
  expires_at BIGINT NOT NULL,
  pause BIGINT NOT NULL,
  polled_at BIGINT,
  PRIMARY KEY (hash),
  UNIQUE (user_code)
);

CREATE TABLE refresh_tokens (
  hash TEXT NOT NULL,
  key_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (hash)
);

CREATE INDEX refresh_tokens_of_key ON refresh_tokens (key_id);

CREATE TABLE oauth_clients (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  redirect_uris TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (id)
);

CREATE TABLE attempts (
  bucket TEXT NOT NULL,
  busy_until BIGINT NOT NULL,
  PRIMARY KEY (bucket)
);

CREATE TABLE media_refs (
  media_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (media_id, user_id),
  FOREIGN KEY(media_id) REFERENCES media (id)
);
CREATE INDEX media_refs_of_user ON media_refs (user_id, created_at);

CREATE TABLE sessions (
  hash TEXT NOT NULL,
  user_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  browser TEXT NOT NULL,
  via TEXT NOT NULL,
  PRIMARY KEY (hash),
  FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX sessions_of_user ON sessions (user_id);
