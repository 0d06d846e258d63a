"""Where every message stands, in the user's own database: SQLite, or PostgreSQL (extra ``postgres``)."""

from ._async import AsyncLedger
from ._decisions import Entry
from ._sync import Campaign, Ledger

__all__ = ["AsyncLedger", "Campaign", "Entry", "Ledger"]
