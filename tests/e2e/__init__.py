"""The whole exchange as a user starts it: processes, signals, files, HTTP, rings."""
