"""What the files and the commands mean, typed and frozen. Pure."""
