"""What the tables are, and what each of them needs of those who copy, erase, keep and audit."""
