"""Tasks, threads and locks: bounded fan-out, admission, single flight, locks that survive a fork."""
