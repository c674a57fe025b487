"""The guide's recipe: a Flask handler that reads `c` and `value` and commits one SQLite insert a request."""

import os
import sqlite3
from contextlib import closing

from flask import Flask, request

DATABASE = os.environ["PEER_DATABASE"]

app = Flask(__name__)

with closing(sqlite3.connect(DATABASE)) as setup:
    setup.execute("CREATE TABLE IF NOT EXISTS conversions (click_id TEXT PRIMARY KEY, value TEXT)")


@app.get("/postback")
def postback() -> tuple[str, int]:
    """Store one conversion; 400 when a parameter is missing."""
    click_id = request.args.get("c")
    value = request.args.get("value")
    if not click_id or not value:
        return "Missing c or value", 400
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute("INSERT INTO conversions (click_id, value) VALUES (?, ?)", (click_id, value))
    return "Success", 200
