"""Whether the milters keep to the milter protocol, whatever an MTA does: `python -m proof.conformance`."""
