"""From a lock to wheels: fetched, or built from source."""
