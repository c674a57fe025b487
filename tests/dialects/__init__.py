"""What real senders write: sent through every door, with the row that must be stored or the words that must be told."""
