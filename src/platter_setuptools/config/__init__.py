"""Options: reading, checking, merging and showing them, and their schema."""
