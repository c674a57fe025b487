"""What retention and `erase` delete: what is to go is found, deleted a chunk at a time, and noted in a book."""
