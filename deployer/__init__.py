"""A self-hosted Heroku, driven like Terraform, that needs nothing on the machines but SSH."""

__version__ = "0.1.0"
