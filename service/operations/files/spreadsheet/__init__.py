"""Owns spreadsheets: files of rows as Excel, Google Sheets, LibreOffice and platforms write them.

What comes out is CSV as our doors take it (RFC 4180), so what follows, parsing, keeping and replay, needs no dialect.
"""
