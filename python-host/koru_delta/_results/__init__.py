"""What the methods return, a file each kind; :mod:`koru_delta.results` has the public names."""
