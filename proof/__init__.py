"""What shows that the system holds: faults, hostile input, conformance.

Tools to run by hand and in the tests; never packaged.
"""
