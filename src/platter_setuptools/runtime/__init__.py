"""What every step uses: processes, signals, temporary files, progress, concurrency, reproducible times."""
