"""Owns durable state: the tables, the engines that hold them, and every statement that reads or writes them."""
