"""Files of rows: read, plain or packed, also as spreadsheets write them; and written, as CSV, NDJSON and Parquet."""
