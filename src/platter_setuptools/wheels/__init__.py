"""From a lock to wheels: fetch or build them, check them, compile their bytecode."""
