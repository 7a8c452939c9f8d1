"""From requirements to a lock: which distributions a bundle contains, in which versions, from where."""
