"""Looking into wheels: are they sound, do they fit, what do they need; and their bytecode."""
