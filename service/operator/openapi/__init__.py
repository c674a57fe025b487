"""The description of both listeners for programs, as files in docs/."""
