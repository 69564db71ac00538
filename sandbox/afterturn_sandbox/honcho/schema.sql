-- The stand-in's whole state. Names are unique inside their workspace, as in Honcho; times are
-- microseconds since the epoch, UTC; JSON is text. A message's `seq` counts from 1 in its session
-- and stands in its id, so that no index over random ids is needed: it would cost a third of a write.
CREATE TABLE IF NOT EXISTS workspaces (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL,
    configuration TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS peers (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    metadata TEXT NOT NULL,
    configuration TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (workspace, name)
);
CREATE TABLE IF NOT EXISTS sessions (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL,
    name TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    configuration TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    UNIQUE (workspace, name)
);
CREATE TABLE IF NOT EXISTS members (
    session INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    left_at INTEGER,
    PRIMARY KEY (session, peer)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_peer ON members (peer, session);
CREATE TABLE IF NOT EXISTS messages (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    id TEXT NOT NULL,
    content TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS messages_seq ON messages (session, seq);
CREATE INDEX IF NOT EXISTS messages_peer ON messages (peer);
CREATE TABLE IF NOT EXISTS conclusions (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    observer INTEGER NOT NULL,
    observed INTEGER NOT NULL,
    session INTEGER,
    content TEXT NOT NULL,
    level TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS conclusions_pair ON conclusions (observed, observer);
CREATE TABLE IF NOT EXISTS cards (
    observer INTEGER NOT NULL,
    observed TEXT NOT NULL,
    card TEXT NOT NULL,
    PRIMARY KEY (observer, observed)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS backfills (
    scope INTEGER NOT NULL,
    session INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    copied INTEGER NOT NULL,
    PRIMARY KEY (scope, session)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhooks (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (workspace, url)
);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
-- Filled behind the writes, when somebody searches. `scope` holds tokens for the workspace, the
-- session and the peer, so that a search of one session never weighs another one's messages.
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    content, scope, content = '', tokenize = 'porter unicode61'
);
