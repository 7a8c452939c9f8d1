"""The benchmark: this project and its peers, in pairs, side by side. See README.md here; `make bench` runs it."""
