"""Whatever bytes come, every entrance of this system answers: no crash, no hang, no memory without end.

`python -m proof.fuzz` feeds each target (targets.py) with altered input, keeps what reaches new lines, and stores what
breaks a promise, as small as it gets.
"""
