"""The SQL, once for both dialects: ``:name`` is a parameter, ``{...}`` the table prefix or what a dialect writes."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = (
    "id, rank, content, options, destination, state, reference, batch, campaign, message_id, status, reason, account, "
    "due_at, queued_at, attempted_at, settled_at, status_at"
)
"""What ``{columns}`` stands for; `_rows.row` reads them."""

# Before the request. What `work` holds is in doubt already, so nothing here takes a row from anybody.

PUT: Final = """
INSERT INTO {p}message (account, reference, destination, content, options, state, due_at, queued_at, attempted_at)
VALUES (:account, :reference, :destination, :content, :options, :state, :due_at, :queued_at, :attempted_at)
ON CONFLICT (reference) WHERE reference IS NOT NULL DO UPDATE SET
    account = excluded.account, content = excluded.content, options = excluded.options, state = excluded.state,
    due_at = excluded.due_at, queued_at = excluded.queued_at, attempted_at = excluded.attempted_at,
    reason = NULL, settled_at = NULL
WHERE {p}message.state = 'not_sent' AND {p}message.destination = excluded.destination
RETURNING id
"""

PUT_BATCH: Final = """
INSERT INTO {p}message (account, batch, destination, state, attempted_at)
SELECT :account, :batch, value, 'in_doubt', :now FROM {each} WHERE true
ON CONFLICT (batch, destination) WHERE batch IS NOT NULL DO UPDATE SET
    account = excluded.account, state = excluded.state, attempted_at = excluded.attempted_at,
    reason = NULL, settled_at = NULL
WHERE {p}message.state = 'not_sent'
RETURNING id, destination
"""

# The order is that of the index: any other sorts everything that is queued, for each claim.
_CLAIM = """
WITH due AS (
    SELECT id FROM {p}message WHERE state = 'queued' AND {queue} AND due_at <= :now
    ORDER BY campaign, due_at, id LIMIT :room {skip_locked}
)
UPDATE {p}message SET state = 'in_doubt', attempted_at = :now, account = :account, reason = NULL
WHERE id IN (SELECT id FROM due) AND state = 'queued'
RETURNING {columns}
"""
CLAIM_SINGLE: Final = _CLAIM.replace("{queue}", "campaign IS NULL")
CLAIM_IN_CAMPAIGN: Final = _CLAIM.replace("{queue}", "campaign = :campaign")

# After the request

_TAKE_RECEIPTS = """
DELETE FROM {p}receipt
WHERE message_id {which} AND (reference = '' OR reference = :label)
RETURNING message_id, status, reference
"""
TAKE_RECEIPTS_OF_ONE: Final = _TAKE_RECEIPTS.replace("{which}", "= :message_id")
TAKE_RECEIPTS: Final = _TAKE_RECEIPTS.replace("{which}", "IN (SELECT value FROM {each})")

# An id is proof, whoever held the row; a receipt may have brought the same id, and its status, before the answer.
_SUBMITTED = """
UPDATE {p}message SET
    state = 'submitted', message_id = @new_id, settled_at = COALESCE(settled_at, :now),
    status = CASE WHEN rank < @new_rank THEN @new_status ELSE status END,
    status_at = CASE WHEN rank < @new_rank THEN :now ELSE status_at END,
    rank = CASE WHEN rank < @new_rank THEN @new_rank ELSE rank END,
    reason = NULL, content = NULL, options = NULL, due_at = NULL
@from
WHERE id = @row_id AND (message_id IS NULL OR message_id = @new_id)
RETURNING {columns}
"""
SUBMITTED_ONE: Final = _SUBMITTED.replace("@from", "").replace("@", ":")
SUBMITTED: Final = _SUBMITTED.replace(
    "@from",
    """FROM (
    SELECT {integer[row_id]} AS row_id, {text[new_id]} AS new_id,
        {text[new_status]} AS new_status, {integer[new_rank]} AS new_rank
    FROM {each_row}
) AS settled""",
).replace("@", "settled.")

UNSENT: Final = """
UPDATE {p}message SET
    state = settled.new_state, reason = settled.new_reason, due_at = :due_at,
    settled_at = CASE WHEN settled.new_state IN ('in_doubt', 'queued') THEN NULL ELSE :now END,
    content = CASE WHEN settled.new_state = 'refused' THEN NULL ELSE content END,
    options = CASE WHEN settled.new_state = 'refused' THEN NULL ELSE options END
FROM (
    SELECT {integer[id]} AS row_id, {text[state]} AS new_state, {text[reason]} AS new_reason FROM {each_row}
) AS settled
WHERE id = settled.row_id AND state = 'in_doubt' AND attempted_at = :attempted_at
RETURNING {columns}
"""

# Receipts

CANDIDATES: Final = """
SELECT {columns} FROM {p}message WHERE message_id = :message_id
UNION ALL
SELECT {columns} FROM {p}message WHERE reference = :reference AND message_id IS NULL
"""

# Only the row that was read is moved: under READ COMMITTED it may have become another since.
MOVE: Final = """
UPDATE {p}message SET
    state = 'submitted', message_id = :message_id, status = :status, rank = :rank, status_at = :now,
    settled_at = COALESCE(settled_at, :now), reason = NULL, content = NULL, options = NULL, due_at = NULL
WHERE id = :id AND rank = :seen_rank AND (message_id IS NULL OR message_id = :message_id)
RETURNING {columns}
"""

KEEP_RECEIPT: Final = """
INSERT INTO {p}receipt (message_id, status, reference, detail, received_at)
VALUES (:message_id, :status, :reference, :detail, :now) ON CONFLICT DO NOTHING
"""

KEPT_RECEIPTS: Final = "SELECT DISTINCT message_id, reference FROM {p}receipt ORDER BY message_id, reference"

# What a kept receipt can be about: a row in doubt, or one that a restored backup calls queued.
RECONCILABLE: Final = """
SELECT DISTINCT COALESCE(reference, batch, campaign) FROM {p}message
WHERE state = 'in_doubt' AND (account = :account OR account IS NULL)
UNION SELECT name FROM {p}campaign
"""

RECONCILE: Final = """
SELECT {columns} FROM {p}message
WHERE destination = :destination AND (reference = :label OR batch = :label OR campaign = :label)
    AND message_id IS NULL AND state IN ('in_doubt', 'queued') AND (account = :account OR account IS NULL)
"""

# The gateway may write a number in its own way. Few rows are in doubt, many may be queued.
RECONCILE_IN_DOUBT: Final = """
SELECT {columns} FROM {p}message
WHERE state = 'in_doubt' AND (reference = :label OR batch = :label OR campaign = :label)
    AND message_id IS NULL AND (account = :account OR account IS NULL)
"""

# For people

FIND: Final = "SELECT {columns} FROM {p}message WHERE reference = :reference"

FIND_RECIPIENT: Final = """
SELECT {columns} FROM {p}message WHERE (batch = :label OR campaign = :label) AND destination = :destination
"""

FIND_BATCH: Final = """
SELECT {columns} FROM {p}message WHERE batch = :batch AND destination IN (SELECT value FROM {each})
"""

UNRESOLVED: Final = """
SELECT {columns} FROM {p}message WHERE state = 'in_doubt' AND attempted_at <= :until ORDER BY attempted_at, id
"""

# A person's word, as good as an answer; only while the row is as that person saw it.
PERSON_SENT: Final = """
UPDATE {p}message SET
    state = 'submitted', settled_at = :now, reason = NULL, content = NULL, options = NULL, due_at = NULL
WHERE id = :id AND state = :state RETURNING {columns}
"""

PERSON_NOT_SENT: Final = """
UPDATE {p}message SET state = :new_state, settled_at = :now, due_at = :due_at, reason = NULL
WHERE id = :id AND state = 'in_doubt' AND attempted_at = :attempted_at RETURNING {columns}
"""

_CANCEL = """
UPDATE {p}message SET state = 'cancelled', settled_at = :now, content = NULL, options = NULL, due_at = NULL
WHERE state = 'queued' AND {which}
"""
CANCEL_REFERENCE: Final = _CANCEL.replace("{which}", "reference = :reference")
CANCEL_SINGLE: Final = _CANCEL.replace("{which}", "campaign IS NULL AND destination = :destination")
# One look into the unique index for each campaign, instead of one at everything that is queued.
CANCEL_IN_CAMPAIGNS: Final = _CANCEL.replace(
    "{which}", "campaign IN (SELECT name FROM {p}campaign) AND destination = :destination"
)
CANCEL_CAMPAIGN: Final = _CANCEL.replace(
    "{which}", "id IN (SELECT id FROM {p}message WHERE state = 'queued' AND campaign = :campaign LIMIT :room)"
)

COUNTS: Final = "SELECT state, count(*) FROM {p}message GROUP BY state"
COUNT_RECEIPTS: Final = "SELECT count(*) FROM {p}receipt"

PURGE: Final = """
DELETE FROM {p}message WHERE id IN (
    SELECT id FROM {p}message
    WHERE id > :after AND state IN ('submitted', 'refused', 'not_sent', 'cancelled') AND settled_at < :until
    ORDER BY id LIMIT :room
) RETURNING id
"""
PURGE_RECEIPTS: Final = "DELETE FROM {p}receipt WHERE received_at < :until"

# Campaigns

CREATE_CAMPAIGN: Final = """
INSERT INTO {p}campaign (name, content, options, state, rate, opens, closes, zone, latest)
VALUES (:name, :content, :options, 'new', :rate, :opens, :closes, :zone, :latest) ON CONFLICT DO NOTHING
"""

FIND_CAMPAIGN: Final = """
SELECT content, options, state, rate, opens, closes, zone, latest FROM {p}campaign WHERE name = :name
"""

MOVE_CAMPAIGN: Final = """
UPDATE {p}campaign SET state = :new_state WHERE name = :name AND state IN (SELECT value FROM {each}) RETURNING state
"""

ADD: Final = """
INSERT INTO {p}message (campaign, destination, state, due_at, queued_at)
SELECT :campaign, value, 'queued', :now, :now FROM {each} WHERE true
ON CONFLICT DO NOTHING
"""

DUE_IN_CAMPAIGN: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM {p}message WHERE state = 'queued' AND campaign = :campaign AND due_at <= :now LIMIT :room
) AS due
"""

# The pace of all workers is this one number: when the next request may leave, in seconds of the database's clock. A
# turn is taken only when it is near, so that a worker that ends meanwhile does not leave a hole in the pace.
TAKE_TURN: Final = """
UPDATE {p}campaign SET next_at = {greatest}(next_at, {clock}) + :step
WHERE name = :name AND next_at <= {clock} + :ahead
RETURNING next_at - :step - {clock}
"""

WAIT: Final = "SELECT next_at - {clock} FROM {p}campaign WHERE name = :name"

HOLD: Final = "UPDATE {p}campaign SET next_at = {greatest}(next_at, {clock} + :seconds) WHERE name = :name"

CAMPAIGNS: Final = """
SELECT name, content, options, state, rate, opens, closes, zone, latest, EXISTS (
    SELECT 1 FROM {p}message WHERE state = 'queued' AND campaign = name
) FROM {p}campaign ORDER BY name
"""

PROGRESS: Final = "SELECT state, status, count(*) FROM {p}message WHERE campaign = :campaign GROUP BY state, status"
