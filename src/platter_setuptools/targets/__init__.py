"""The target of a bundle: an interpreter and its platform."""
