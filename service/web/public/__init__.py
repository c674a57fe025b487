"""The public listener: doors, and nothing but doors (law 7)."""
