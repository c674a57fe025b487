"""Owns spreadsheets: files of rows as Excel, Google Sheets, LibreOffice and platforms write them, read for what they say.

What comes out is CSV as RFC 4180 and our doors know it, so whatever follows (parsing, keeping, replay) needs no dialect.
"""
