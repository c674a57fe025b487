"""What the documents say becomes of postbacks, a ledger of what was sent, and whether both explain the rows."""
