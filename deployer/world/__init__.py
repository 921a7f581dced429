"""What should be, and what was seen. Pure."""
