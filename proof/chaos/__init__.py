"""``make chaos``: the whole system under a stream of mail while everything fails that can, then a look at every file.

plan.py says what happens when, out of a seed; house.py is the system, stream.py and people.py use it, faults.py
breaks it, invariants.py looks at what is left.
"""
