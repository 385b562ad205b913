"""Deploying to Google Cloud: the script, and what is told of a deployment without one."""
