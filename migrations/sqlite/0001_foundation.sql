-- Ids are 64-bit integers, instants are milliseconds since 1970 (UTC), booleans are 0 or 1, random ids are 16 octets.

CREATE TABLE domains (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    -- The most that the quotas of its mailboxes may come to together.
    allocation_max_bytes BIGINT,
    -- Percent of that which its mailboxes held when somebody was last warned: 0, 80 or 95.
    quota_warned BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL DEFAULT 1,
    created_at_ms BIGINT NOT NULL
);

-- Persons. `revision` moves with every change that a reader of the row can see (ETag).
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL DEFAULT '',
    first_name TEXT NOT NULL DEFAULT '',
    last_name TEXT NOT NULL DEFAULT '',
    profession TEXT NOT NULL DEFAULT '',
    specialty TEXT NOT NULL DEFAULT '',
    rpps TEXT UNIQUE,
    adeli TEXT UNIQUE,
    -- The domain whose administrators may change the person; without one, only the operator's.
    domain_id BIGINT REFERENCES domains (id),
    revision BIGINT NOT NULL DEFAULT 1,
    created_at_ms BIGINT NOT NULL,
    disabled_at_ms BIGINT
);

-- Who can act: a person, an application or an API key. Grants, private \Seen, credentials, admin roles and audit point here.
CREATE TABLE actors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'application', 'key')),
    user_id BIGINT UNIQUE REFERENCES users (id),
    label TEXT NOT NULL DEFAULT '',
    created_at_ms BIGINT NOT NULL,
    disabled_at_ms BIGINT,
    -- Moves with the name of an application.
    revision BIGINT NOT NULL DEFAULT 1,
    CHECK ((kind = 'user') = (user_id IS NOT NULL))
);
-- The name of an application that is in service is its own.
CREATE UNIQUE INDEX actors_by_application ON actors (label) WHERE kind = 'application' AND disabled_at_ms IS NULL;

-- A mailbox (BAL). A deleted one stays as a tombstone: its address is never given to another holder.
CREATE TABLE mailboxes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain_id BIGINT NOT NULL REFERENCES domains (id),
    address TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('personal', 'organizational', 'applicative', 'cabinet')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'suspended', 'deleted')),
    -- How far its creation is. The steps themselves, with who took them, are in mailbox_steps.
    workflow TEXT NOT NULL DEFAULT 'created' CHECK (workflow IN ('requested', 'validated', 'created', 'published')),
    owner_user_id BIGINT REFERENCES users (id),
    finess TEXT,
    siret TEXT,
    organization_name TEXT NOT NULL DEFAULT '',
    department TEXT NOT NULL DEFAULT '',
    application_name TEXT NOT NULL DEFAULT '',
    description TEXT NOT NULL DEFAULT '',
    hide_from_directory BIGINT NOT NULL DEFAULT 0,
    -- What the holder asked for and nobody validated yet: 1 to be hidden, 0 to be shown again.
    hide_requested BIGINT,
    quota_bytes BIGINT NOT NULL,
    -- Whether the quota is the mailbox's own, or follows the defaults of its domain and kind.
    quota_is_own BIGINT NOT NULL DEFAULT 1,
    -- Percent of the quota that its readers were last warned of: 0, 80 or 95.
    quota_warned BIGINT NOT NULL DEFAULT 0,
    -- Whether mail that a delegate sends with its address is filed in its Sent folder too.
    files_sent BIGINT NOT NULL DEFAULT 1,
    used_bytes BIGINT NOT NULL DEFAULT 0,
    used_messages BIGINT NOT NULL DEFAULT 0,
    -- \Seen is 0: one for all, 1: each reader's own, 2: on its way to be one, while rows of `seen` are left.
    private_seen BIGINT NOT NULL DEFAULT 0,
    next_uid_validity BIGINT NOT NULL,
    -- Numbers of the latest change of its folders' names and uses, of who subscribed to them, and of its annotations.
    folder_seq BIGINT NOT NULL DEFAULT 0,
    subscription_seq BIGINT NOT NULL DEFAULT 0,
    annotation_seq BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL DEFAULT 1,
    created_at_ms BIGINT NOT NULL,
    status_at_ms BIGINT NOT NULL,
    -- A deleted mailbox can be restored until then, to what it was before; afterwards its content is erased.
    status_before TEXT CHECK (status_before IN ('pending', 'active', 'suspended')),
    restorable_until_ms BIGINT,
    erased_at_ms BIGINT
);
CREATE INDEX mailboxes_by_seen ON mailboxes (id) WHERE private_seen = 2;
CREATE INDEX mailboxes_by_owner ON mailboxes (owner_user_id);
CREATE INDEX mailboxes_by_domain ON mailboxes (domain_id, address, kind, status, owner_user_id, id);
-- Lists are filtered on this index and the one before alone. Nothing in them changes when mail comes.
CREATE INDEX mailboxes_listed ON mailboxes (address, kind, status, domain_id, owner_user_id, id);
CREATE INDEX mailboxes_to_erase ON mailboxes (restorable_until_ms) WHERE status = 'deleted' AND erased_at_ms IS NULL;

-- The steps of a mailbox's creation and life, in order: who asked, who validated.
CREATE TABLE mailbox_steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    step TEXT NOT NULL,
    actor_id BIGINT REFERENCES actors (id),
    at_ms BIGINT NOT NULL
);
CREATE INDEX mailbox_steps_by_mailbox ON mailbox_steps (mailbox_id, id);

-- Quotas of mailboxes that have none of their own: of a domain and a kind, of a domain, of a kind.
CREATE TABLE quota_defaults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain_id BIGINT REFERENCES domains (id),
    kind TEXT CHECK (kind IN ('personal', 'organizational', 'applicative', 'cabinet')),
    quota_bytes BIGINT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX quota_defaults_once ON quota_defaults (COALESCE(domain_id, 0), COALESCE(kind, ''));

-- Who administers: the whole operator, or certain domains. A role that ended stays.
CREATE TABLE admin_roles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    role TEXT NOT NULL CHECK (role IN ('operator', 'domain', 'auditor', 'support')),
    domain_id BIGINT REFERENCES domains (id),
    granted_by_actor_id BIGINT REFERENCES actors (id),
    granted_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    CHECK ((role = 'domain') = (domain_id IS NOT NULL))
);
CREATE INDEX admin_roles_by_actor ON admin_roles (actor_id);

-- Delegations and IMAP ACLs are two views of these rows; a folder row overrides the mailbox row.
CREATE TABLE grants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    folder_id BIGINT,
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    rights TEXT NOT NULL,
    role TEXT CHECK (role IN ('read', 'write', 'manage', 'admin')),
    expires_at_ms BIGINT,
    granted_by_actor_id BIGINT REFERENCES actors (id),
    granted_at_ms BIGINT NOT NULL,
    -- Whether those concerned were told that it ends soon.
    end_told BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX grants_once ON grants (mailbox_id, COALESCE(folder_id, 0), actor_id);
CREATE INDEX grants_by_actor ON grants (actor_id);
CREATE INDEX grants_by_end ON grants (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

CREATE TABLE application_passwords (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    label TEXT NOT NULL,
    hash TEXT NOT NULL,
    -- Twelve bits of a keyed hash of actor and password: of many passwords, those that a guess may be.
    tag BIGINT NOT NULL,
    -- The one mailbox that it opens; without one, every mailbox that its actor may open.
    mailbox_id BIGINT REFERENCES mailboxes (id),
    -- The protocols by which it lets in (words between spaces; none means all).
    protocols TEXT NOT NULL DEFAULT '',
    created_by_actor_id BIGINT REFERENCES actors (id),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    last_used_at_ms BIGINT
);
CREATE INDEX application_passwords_by_actor ON application_passwords (actor_id);

-- What an API key may do is the least of its actor's admin roles and its scopes (words between spaces; none means all of the role's).
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    actor_id BIGINT NOT NULL UNIQUE REFERENCES actors (id),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    -- The first characters of the key, by which its holder recognises it.
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_by_actor_id BIGINT REFERENCES actors (id),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    last_used_at_ms BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
-- The name of a key that is in force is its own.
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_at_ms IS NULL;

-- Requests that were given an Idempotency-Key, each caller's apart: a second one with the same key is answered as the first. The answer is sealed.
CREATE TABLE idempotency_keys (
    caller TEXT NOT NULL,
    name TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('begun', 'committed', 'answered')),
    status BIGINT,
    answer BLOB,
    -- Whoever carries the request out; what an earlier lease still has on its way fails.
    lease BLOB NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (caller, name)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at_ms);

-- Long work that an administrator asked for. What a job found stands in `result` (JSON), or in a file that it names.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'interrupted', 'cancelled')),
    done BIGINT NOT NULL DEFAULT 0,
    total BIGINT,
    result TEXT NOT NULL DEFAULT '',
    actor_id BIGINT REFERENCES actors (id),
    node_id BLOB,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT
);

-- Addresses from which an account logged in before, as keyed hashes: whoever comes from there is not held back by others' failures.
CREATE TABLE known_addresses (
    account BLOB NOT NULL,
    address BLOB NOT NULL,
    last_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account, address)
) WITHOUT ROWID;
CREATE INDEX known_addresses_by_age ON known_addresses (last_at_ms);

-- What a mailbox did on a day (UTC), counted in the transaction that did it.
CREATE TABLE daily_counters (
    day TEXT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (day, mailbox_id, name)
) WITHOUT ROWID;

-- Each mailbox's data key, wrapped by a monthly generation of the key-encryption key. Destroying a row erases the mailbox.
CREATE TABLE mailbox_keys (
    mailbox_id BIGINT PRIMARY KEY REFERENCES mailboxes (id),
    generation TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX mailbox_keys_by_generation ON mailbox_keys (generation);

-- The operator's own keys (queue, deduplication, audit), wrapped the same way.
CREATE TABLE operator_keys (
    name TEXT PRIMARY KEY,
    generation TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- What tells one key of a month from another one under its name, and nothing of the key: nodes that do not share their key folder are found out.
CREATE TABLE key_generations (
    name TEXT PRIMARY KEY,
    check_value BLOB NOT NULL
);

-- What RFC 9051 calls mailboxes. Counters change in the transaction that changes what they count.
CREATE TABLE folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    name TEXT NOT NULL,
    special_use TEXT,
    selectable BIGINT NOT NULL DEFAULT 1,
    uid_validity BIGINT NOT NULL,
    uid_next BIGINT NOT NULL DEFAULT 1,
    recent_uid BIGINT NOT NULL DEFAULT 1,
    modseq BIGINT NOT NULL DEFAULT 1,
    message_count BIGINT NOT NULL DEFAULT 0,
    seen_count BIGINT NOT NULL DEFAULT 0,
    deleted_count BIGINT NOT NULL DEFAULT 0,
    size_bytes BIGINT NOT NULL DEFAULT 0,
    expunged_floor BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    UNIQUE (mailbox_id, name)
);

-- A name can be subscribed to without existing (RFC 9051 section 6.3.7), and each delegate has a list of their own.
CREATE TABLE subscriptions (
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    name TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, actor_id, name)
);

-- Annotations (RFC 5464) of a folder, or of the server (folder 0), for everybody who sees it (actor 0) or for one actor; sealed under the mailbox's key.
-- One that was removed stays for a while, without a value, for sessions that have to be told.
CREATE TABLE annotations (
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    folder_id BIGINT NOT NULL,
    actor_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    value BLOB,
    seq BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, folder_id, actor_id, name)
);
CREATE INDEX annotations_by_seq ON annotations (mailbox_id, seq);

CREATE TABLE folder_keywords (
    folder_id BIGINT NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
    bit BIGINT NOT NULL CHECK (bit BETWEEN 0 AND 62),
    name TEXT NOT NULL,
    PRIMARY KEY (folder_id, bit)
);

-- One sealed copy of a message serves every mailbox and queue entry. Small containers stand inline, larger ones in the body store.
CREATE TABLE bodies (
    id BLOB PRIMARY KEY,
    size_bytes BIGINT NOT NULL,
    place TEXT NOT NULL CHECK (place IN ('inline', 'file', 'object')),
    created_at_ms BIGINT NOT NULL,
    container BLOB
);

-- What FETCH shows of a message without its content (ENVELOPE, BODYSTRUCTURE, part offsets), sealed. Apart from the containers, so that a folder's lie close together.
CREATE TABLE structures (
    body_id BLOB PRIMARY KEY REFERENCES bodies (id) ON DELETE CASCADE,
    structure BLOB NOT NULL
) WITHOUT ROWID;

-- What SEARCH reads of a message: a signature that rules most messages out, and the texts of its header and of its body, decoded and folded; each sealed. A message with very much
-- text has none. What is short comes first, so that the rest is not read with it.
CREATE TABLE extracts (
    body_id BLOB PRIMARY KEY REFERENCES bodies (id) ON DELETE CASCADE,
    header BLOB NOT NULL,
    signature BLOB NOT NULL,
    extract BLOB NOT NULL
);

CREATE TABLE messages (
    folder_id BIGINT NOT NULL REFERENCES folders (id),
    uid BIGINT NOT NULL,
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    body_id BLOB NOT NULL REFERENCES bodies (id),
    wrapped_key BLOB NOT NULL,
    size_bytes BIGINT NOT NULL,
    internal_date_ms BIGINT NOT NULL,
    saved_at_ms BIGINT NOT NULL,
    flags BIGINT NOT NULL DEFAULT 0,
    keywords BIGINT NOT NULL DEFAULT 0,
    modseq BIGINT NOT NULL,
    PRIMARY KEY (folder_id, uid)
) WITHOUT ROWID;
CREATE INDEX messages_by_modseq ON messages (folder_id, modseq);
CREATE INDEX messages_by_body ON messages (body_id);

CREATE TABLE expunged (
    folder_id BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    expunged_at_ms BIGINT NOT NULL,
    PRIMARY KEY (folder_id, modseq, uid)
) WITHOUT ROWID;
CREATE INDEX expunged_by_age ON expunged (expunged_at_ms);

-- \Seen of each actor in mailboxes that keep it private.
CREATE TABLE seen (
    folder_id BIGINT NOT NULL,
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    uid BIGINT NOT NULL,
    is_set BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    PRIMARY KEY (folder_id, actor_id, uid)
) WITHOUT ROWID;
CREATE INDEX seen_by_modseq ON seen (folder_id, actor_id, modseq);

CREATE TABLE seen_counts (
    folder_id BIGINT NOT NULL,
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    seen_count BIGINT NOT NULL,
    PRIMARY KEY (folder_id, actor_id)
) WITHOUT ROWID;

-- Bodies that lost a reference; the sweeper frees those that nothing refers to any more.
CREATE TABLE released_bodies (
    body_id BLOB PRIMARY KEY,
    released_at_ms BIGINT NOT NULL
);
CREATE INDEX released_bodies_by_age ON released_bodies (released_at_ms);

-- Recognises a message sent again within the window, each recipient on its own: keyed hash of peer, reverse-path, content and recipient.
CREATE TABLE accepted_recipients (
    fingerprint BLOB PRIMARY KEY,
    unit_id BLOB NOT NULL,
    accepted_at_ms BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX accepted_recipients_by_age ON accepted_recipients (accepted_at_ms);

-- One remote recipient of one message. A finished entry gives up its body.
CREATE TABLE queue_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    unit_id BLOB NOT NULL,
    body_id BLOB REFERENCES bodies (id),
    wrapped_key BLOB,
    content_offset BIGINT NOT NULL,
    eight_bit BIGINT NOT NULL,
    reverse_path TEXT NOT NULL,
    sender_mailbox_id BIGINT REFERENCES mailboxes (id),
    recipient TEXT NOT NULL,
    recipient_domain TEXT NOT NULL,
    original_recipient TEXT,
    notify TEXT,
    ret TEXT,
    envid TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'deferred', 'held', 'relayed', 'delivered', 'bounced', 'expired', 'dropped')),
    attempts BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    next_attempt_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    last_attempt_at_ms BIGINT,
    last_reply TEXT,
    held_for TEXT CHECK (held_for IN ('departure', 'fault', 'administrator')),
    lease_token BLOB,
    lease_until_ms BIGINT,
    CHECK (held_for IS NULL OR state = 'held')
);
CREATE INDEX queue_entries_due ON queue_entries (next_attempt_at_ms) WHERE state IN ('queued', 'deferred');
CREATE INDEX queue_entries_held ON queue_entries (recipient_domain, expires_at_ms) WHERE state = 'held';
CREATE INDEX queue_entries_by_body ON queue_entries (body_id);
CREATE INDEX queue_entries_by_domain ON queue_entries (recipient_domain, state);

-- PostgreSQL: the number of each writer's latest batch, changed in the batch's own transaction. When the answer to a COMMIT is lost, it says whether the batch stands.
CREATE TABLE writers (
    id BLOB PRIMARY KEY,
    batch BIGINT NOT NULL,
    at_ms BIGINT NOT NULL
);

-- Append-only, hash-chained: one chain for each writer incarnation, category and month (UTC). A chain whose rows had their time keeps this row, with a signed
-- statement of how far it went.
CREATE TABLE audit_chains (
    id BLOB PRIMARY KEY,
    category TEXT NOT NULL CHECK (category IN ('mail', 'access', 'admin', 'trust')),
    month TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    -- The latest row that a seal covers.
    sealed_seq BIGINT NOT NULL DEFAULT 0,
    -- Whether its month is over and all of it is sealed.
    is_settled BIGINT NOT NULL DEFAULT 0,
    dropped_at_ms BIGINT,
    dropped_seq BIGINT,
    dropped_hash BLOB,
    dropped_signature BLOB
);
CREATE INDEX audit_chains_unsettled ON audit_chains (month) WHERE is_settled = 0;

CREATE TABLE audit_rows (
    chain_id BLOB NOT NULL REFERENCES audit_chains (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    category TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor_id BIGINT,
    credential TEXT,
    via TEXT,
    target TEXT,
    mailbox_id BIGINT,
    unit_id BLOB,
    request TEXT,
    detail TEXT NOT NULL,
    -- Whose key seals the personal fields.
    subject_id BLOB,
    sealed BLOB,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain_id, seq)
) WITHOUT ROWID;
CREATE INDEX audit_rows_by_time ON audit_rows (at_ms, chain_id, seq);
CREATE INDEX audit_rows_by_mailbox ON audit_rows (mailbox_id, at_ms, chain_id, seq) WHERE mailbox_id IS NOT NULL AND category <> 'mail';

-- Each minute with activity, the heads of the chains that grew, signed.
CREATE TABLE audit_seals (
    seq BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    heads TEXT NOT NULL,
    prev_hash BLOB NOT NULL,
    key_id TEXT NOT NULL,
    signature BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX audit_seals_by_time ON audit_seals (at_ms);

-- Keys that seal personal fields of audit rows, looked up by a keyed hash of the subject, destroyed to erase a person.
CREATE TABLE audit_subjects (
    id BLOB PRIMARY KEY,
    generation TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX audit_subjects_by_generation ON audit_subjects (generation);

-- What must stay, however old: of a category, of a mailbox, or all. A hold that ended stays.
CREATE TABLE audit_holds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    category TEXT CHECK (category IN ('mail', 'access', 'admin', 'trust')),
    mailbox_id BIGINT REFERENCES mailboxes (id),
    reason TEXT NOT NULL,
    actor_id BIGINT REFERENCES actors (id),
    created_at_ms BIGINT NOT NULL,
    until_ms BIGINT,
    ended_at_ms BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);

-- Certificates that somebody is responsible for: our own, and those with which applications log in.
CREATE TABLE certificates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint BLOB NOT NULL UNIQUE,
    holder TEXT NOT NULL CHECK (holder IN ('own', 'application')),
    actor_id BIGINT REFERENCES actors (id),
    usage TEXT NOT NULL CHECK (usage IN ('SERV_SSL', 'ORG_AUTH_CLI', 'ORG_SIGN', 'ORG_CONF', 'OTHER')),
    subject TEXT NOT NULL,
    issuer TEXT NOT NULL,
    serial BLOB NOT NULL,
    key_pin BLOB NOT NULL,
    not_before_ms BIGINT NOT NULL,
    not_after_ms BIGINT NOT NULL,
    der BLOB NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    added_at_ms BIGINT NOT NULL,
    withdrawn_at_ms BIGINT,
    revision BIGINT NOT NULL DEFAULT 1,
    CHECK ((holder = 'application') = (actor_id IS NOT NULL))
);
CREATE INDEX certificates_by_actor ON certificates (actor_id);

-- With which certificates an application logs in. Every column that is set must match; grants of the actor say to which mailboxes.
CREATE TABLE certificate_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    actor_id BIGINT NOT NULL REFERENCES actors (id),
    certificate_id BIGINT REFERENCES certificates (id),
    issuer TEXT,
    subject TEXT,
    san TEXT,
    serial BLOB,
    key_pin BLOB,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    CHECK (key_pin IS NOT NULL OR (issuer IS NOT NULL AND (serial IS NOT NULL OR subject IS NOT NULL OR san IS NOT NULL)))
);
CREATE INDEX certificate_rules_by_actor ON certificate_rules (actor_id);
CREATE INDEX certificate_rules_by_key_pin ON certificate_rules (key_pin) WHERE key_pin IS NOT NULL;
CREATE INDEX certificate_rules_by_serial ON certificate_rules (issuer, serial) WHERE serial IS NOT NULL;
CREATE INDEX certificate_rules_by_subject ON certificate_rules (issuer, subject) WHERE subject IS NOT NULL;
CREATE INDEX certificate_rules_by_san ON certificate_rules (issuer, san) WHERE san IS NOT NULL;

-- What an administrator decided beside the white list. A row that ended stays.
CREATE TABLE trust_overlay (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('quarantine_domain', 'quarantine_certificate', 'partner')),
    domain TEXT,
    subject TEXT,
    issuer TEXT,
    serial BLOB,
    key_pin BLOB,
    reason TEXT NOT NULL DEFAULT '',
    created_at_ms BIGINT NOT NULL,
    until_ms BIGINT,
    ended_at_ms BIGINT
);

-- Domains that left the white list: the dates of the first and the latest list without them.
CREATE TABLE white_list_departures (
    domain TEXT PRIMARY KEY,
    first_absent_at_ms BIGINT NOT NULL,
    latest_absent_at_ms BIGINT NOT NULL,
    given_up_at_ms BIGINT
);

-- Counters that change with what running servers and open sessions must notice: `trust`, `directory`.
CREATE TABLE revisions (
    name TEXT PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO revisions (name, revision) VALUES ('trust', 1), ('directory', 1);

-- Whose open sessions a move of the directory concerns, of the latest moves: those of an actor, or those in a mailbox.
CREATE TABLE directory_moves (
    revision BIGINT PRIMARY KEY,
    actor_id BIGINT,
    mailbox_id BIGINT
);
