"""Releases side by side in a root: install, activate, roll back, prune, examine."""
