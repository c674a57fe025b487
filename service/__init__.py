"""The postback receiver: every postback gets one outcome, and 200 is a receipt for a durable row."""
