"""Phones over adb: a benchmark program of the user's is brought to them, run, and read."""
