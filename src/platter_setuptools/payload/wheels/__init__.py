"""Read wheels and install their files."""
