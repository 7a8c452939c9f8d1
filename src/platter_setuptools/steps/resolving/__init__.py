"""From requirements to a lock: what distributions a bundle takes, in which versions, from where."""
