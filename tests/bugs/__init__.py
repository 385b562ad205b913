"""Bugs to be caught: realistic ones, put into a copy of the sources one at a time by ``make bugs``."""
