"""The destination folder: its state, its lock, its virtualenv, and the final check."""
