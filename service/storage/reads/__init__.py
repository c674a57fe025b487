"""The questions that people ask of a database; nothing here writes."""
