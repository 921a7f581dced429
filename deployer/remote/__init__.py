"""The only room that touches hosts."""
