"""From wheels to a bundle, and reading one: what is in it, how it is written, signed and verified."""
