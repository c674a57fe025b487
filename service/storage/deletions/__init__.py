"""What retention and `erase` delete: what is to go is found, deleted a piece at a time, and noted in a book."""
