"""Scripts that run in another interpreter. They import the standard library or pip, never this package."""
