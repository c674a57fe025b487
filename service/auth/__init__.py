"""Owns who may send: from the credentials of a request to the sender it speaks for."""
