"""What an operator does with jobs: plain functions of the ports, the same on every setting."""
