"""Import: a file of postbacks, how each row is read and dated, and the report of what became of it."""
