"""Audit bundles and installed releases: known vulnerabilities, and licences that are not wanted."""
