"""The fields of a postback: one module a kind of field, each from its text to the fact or the reason against it."""
