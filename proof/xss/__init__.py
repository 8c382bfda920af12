"""Hostile mail in a real browser, with each layer of protection on and off: what runs, what is asked for, what is left.

`python -m proof.xss DIRECTORY` looks at every .html and .eml below it; without one, at vectors of our own.
"""
