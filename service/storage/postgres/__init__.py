"""PostgreSQL: a server shared with other writers, every statement that only this engine has."""
