"""The pure vocabulary and decisions: values in, values out; no framework, no storage, no clock."""
