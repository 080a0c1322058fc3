"""Where the log lives. One protocol, a backend a file."""
