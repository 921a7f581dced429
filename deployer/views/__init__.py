"""What a person or a program sees. Text is rendered from the JSON form, so the two cannot drift."""
