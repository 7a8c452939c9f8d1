"""Bundles as input: find, read, verify, summarise and compare them."""
