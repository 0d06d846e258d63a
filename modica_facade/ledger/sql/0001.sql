CREATE TABLE {p}schema (version INTEGER NOT NULL);

INSERT INTO {p}schema (version) VALUES (1);

CREATE TABLE {p}message (
    id {id},
    account TEXT,
    reference TEXT,
    batch TEXT,
    campaign TEXT,
    destination TEXT NOT NULL,
    content TEXT,
    options TEXT,
    state TEXT NOT NULL,
    message_id TEXT,
    status TEXT,
    rank INTEGER NOT NULL DEFAULT -1,
    reason TEXT,
    due_at {time},
    queued_at {time},
    attempted_at {time},
    settled_at {time},
    status_at {time}
);

CREATE UNIQUE INDEX {p}message_reference ON {p}message (reference) WHERE reference IS NOT NULL;

CREATE UNIQUE INDEX {p}message_batch ON {p}message (batch, destination) WHERE batch IS NOT NULL;

CREATE UNIQUE INDEX {p}message_campaign ON {p}message (campaign, destination) WHERE campaign IS NOT NULL;

CREATE INDEX {p}message_message_id ON {p}message (message_id) WHERE message_id IS NOT NULL;

CREATE INDEX {p}message_queued ON {p}message (campaign, due_at, id) WHERE state = 'queued';

CREATE INDEX {p}message_in_doubt ON {p}message (attempted_at, id) WHERE state = 'in_doubt';

CREATE TABLE {p}receipt (
    message_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reference TEXT NOT NULL,
    detail TEXT,
    received_at {time} NOT NULL,
    PRIMARY KEY (message_id, status, reference)
);

CREATE TABLE {p}campaign (
    name TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL,
    rate DOUBLE PRECISION,
    next_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    opens TEXT,
    closes TEXT,
    zone TEXT,
    latest {time}
);
