"""Which mail must be protected, and how it goes to each recipient: the gateway's policy (docs/policy.md).

Decisions only: settings, rules and keys in, a choice for each recipient out. ``messenger-gateway`` acts on them, and
``messenger gateway`` shows and changes them.
"""
