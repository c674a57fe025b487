"""Every one thing that a person can do: values in, values out; no printing, no HTTP, no exit codes."""
