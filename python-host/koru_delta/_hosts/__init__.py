"""What runs the module. One protocol, a host a file."""
