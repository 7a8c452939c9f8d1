"""Checks before anything is changed, and whether an installed release still fits its machine."""
