"""The ports on Google Cloud, with Google's own clients. Needs the extra ``gcp``."""
