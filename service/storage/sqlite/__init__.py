"""SQLite: one file, one writer, every statement that only this engine has."""
