"""From source to slug: what a slug is made of, and the buildpacks that make it."""
