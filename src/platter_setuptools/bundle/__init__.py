"""From wheels to a bundle: its files, its archive and its signature."""
